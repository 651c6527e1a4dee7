package pipeline_test

import (
	"compress/gzip"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/gopacket/gopacket/pcapgo"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/capture"
	"github.com/rind-project/rind/internal/network/pipeline"
)

// corpus returns the capture files beside the repository, or skips.
func corpus(t testing.TB) []string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		if dir == filepath.Dir(dir) {
			t.Fatal("no go.mod above the package")
		}
		dir = filepath.Dir(dir)
	}
	root := filepath.Join(filepath.Dir(dir), "shared", "pcaps")
	var files []string
	err = filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		switch filepath.Ext(path) {
		case ".pcap", ".cap", ".pcapng", ".gz":
			files = append(files, path)
		}
		return nil
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Skipf("no captures in %s: the test needs them", root)
	}
	return files
}

// count reads a capture with another reader: the packets, their bytes on the
// wire, and whether the file ends as it should.
func count(t *testing.T, path string) (packets, bytes uint64, whole bool) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var in io.Reader = f
	if filepath.Ext(path) == ".gz" {
		if in, err = gzip.NewReader(f); err != nil {
			t.Fatal(err)
		}
	}
	r, err := pcapgo.NewReader(in)
	if err != nil {
		t.Fatal(err)
	}
	for {
		_, ci, err := r.ReadPacketData()
		if err != nil {
			return packets, bytes, errors.Is(err, io.EOF)
		}
		packets++
		bytes += uint64(max(ci.Length, ci.CaptureLength))
	}
}

// TestCorpusLedger reads every capture and checks that the ledger accounts for
// each packet, and that flows and counters hold what it says.
func TestCorpusLedger(t *testing.T) {
	t.Parallel()
	for _, path := range corpus(t) {
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			packets, bytes, whole := count(t, path)
			f, err := capture.OpenFile(t.Context(), path, capture.FileOptions{Window: 10 * time.Second})
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			p := pipeline.New(pipeline.Config{Interface: path, MaxFlows: 4096})
			var sum network.Ledger
			var inFlows, flowBytes uint64
			err = pipeline.ReadFile(context.Background(), f, p, func(r network.Report) error {
				l := r.Interfaces[0]
				if !l.Balanced() {
					t.Errorf("ledger %+v does not add up", l)
				}
				if r.End.Before(r.Start) {
					t.Errorf("report from %v to %v", r.Start, r.End)
				}
				sum.Received += l.Received
				sum.Summarised += l.Summarised
				sum.Malformed += l.Malformed
				sum.Bytes += l.Bytes
				for _, f := range r.Flows {
					inFlows += f.SrcPkts + f.DstPkts
					flowBytes += f.SrcBytes + f.DstBytes
				}
				return nil
			})
			if (err == nil) != whole {
				t.Errorf("error %v, but whole is %v", err, whole)
			}
			if sum.Received != packets || sum.Bytes != bytes {
				t.Errorf("received %d packets, %d bytes; the file has %d, %d", sum.Received, sum.Bytes, packets, bytes)
			}
			c := p.Counters()
			frames := c.OtherTypes + c.WiFi.Frames - c.WiFi.Aggregated
			for _, n := range c.EtherTypes {
				frames += n
			}
			if inFlows+frames != sum.Summarised {
				t.Errorf("summarised %d, but %d are in flows and %d in counters", sum.Summarised, inFlows, frames)
			}
			var reasons uint64
			for _, n := range c.Malformed {
				reasons += n
			}
			if reasons += c.WiFi.Malformed; reasons+c.Panicked != sum.Malformed || c.Panicked != 0 {
				t.Errorf("malformed %d, reasons %v, panics %d", sum.Malformed, c.Malformed, c.Panicked)
			}
			if flowBytes > sum.Bytes {
				t.Errorf("%d bytes in flows, %d in all", flowBytes, sum.Bytes)
			}
		})
	}
}
