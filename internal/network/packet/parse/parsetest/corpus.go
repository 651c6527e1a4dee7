package parsetest

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/capture"
	"github.com/rind-project/rind/internal/network/packet"
)

// Captures returns all captures in the folder beside the repository that are of
// wired networks, or skips the test.
func Captures(tb testing.TB) []string {
	tb.Helper()
	root := Corpus(tb, "")
	var files []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		switch filepath.Ext(path) {
		case ".pcap", ".cap", ".pcapng", ".gz":
			if !strings.Contains(path, "aircrack") {
				files = append(files, path)
			}
		}
		return nil
	})
	if err != nil {
		tb.Fatal(err)
	}
	if len(files) == 0 {
		tb.Skipf("no captures in %s: the test needs them", root)
	}
	return files
}

// Packet is a decoded packet of a capture with its frame.
type Packet struct {
	packet.Packet
	Status packet.Status
	Frame  []byte
}

// Session is that of a packet alone: who sent it is the client.
func (p *Packet) Session() network.Session {
	return network.Session{
		Time: time.Unix(0, p.Time).UTC(), Client: addr(p.Src), ClientPort: p.SrcPort, Server: addr(p.Dst), ServerPort: p.DstPort,
		Proto: network.Proto(p.Proto), VLAN: p.VLAN,
	}
}

// Packets calls visit with each packet of a capture, valid during the call.
func Packets(tb testing.TB, path string, visit func(*Packet)) {
	tb.Helper()
	f, err := capture.OpenFile(context.Background(), path, capture.FileOptions{})
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	r := &reader{visit: visit}
	for {
		if _, err := f.Read(r, 0); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			tb.Logf("%s: %v", path, err)
			return
		}
	}
}

type reader struct {
	decoder packet.Decoder
	pkt     Packet
	visit   func(*Packet)
}

// Packet implements capture.Handler.
func (r *reader) Packet(ts int64, link packet.LinkType, data []byte, wireLen int) {
	r.pkt.Status = r.decoder.Decode(link, data, wireLen, &r.pkt.Packet)
	r.pkt.Packet.Time, r.pkt.Frame = ts, data
	r.visit(&r.pkt)
}

// Compare compares got with the golden file beside a capture (-update writes
// it).
func Compare(t *testing.T, path, got string) {
	t.Helper()
	compare(t, path, got)
}
