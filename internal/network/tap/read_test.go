package tap

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/packet/packettest"
	"github.com/rind-project/rind/internal/network/report"
	"github.com/rind-project/rind/internal/network/uplink"
)

// writePcap writes frames as a pcap file with microseconds, and returns its
// path and the bytes on the wire.
func writePcap(t *testing.T, name string, frames []packettest.Timed) (string, uint64) {
	t.Helper()
	le := binary.LittleEndian
	b := le.AppendUint32(nil, 0xa1b2c3d4)
	b = append(b, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	b = le.AppendUint32(le.AppendUint32(b, 262144), 1)
	var wire uint64
	for _, f := range frames {
		b = le.AppendUint32(b, uint32(f.Time/1e9))
		b = le.AppendUint32(b, uint32(f.Time%1e9/1e3))
		b = le.AppendUint32(le.AppendUint32(b, uint32(len(f.Data))), uint32(len(f.Data)))
		b = append(b, f.Data...)
		wire += uint64(len(f.Data))
	}
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path, wire
}

// spread makes a mix that lasts a minute.
func spread(seed uint64, n int) []packettest.Timed {
	frames := packettest.Mix(seed, n)
	for i := range frames {
		frames[i].Time = frames[0].Time + int64(i)*60e9/int64(n)
	}
	return frames
}

// readJSON reads files into reports.
func readJSON(t *testing.T, files ...string) ([]network.Report, error) {
	t.Helper()
	var out bytes.Buffer
	err := ReadFiles(t.Context(), files, ReadOptions{Out: &out, JSON: true})
	var reports []network.Report
	for d := json.NewDecoder(&out); d.More(); {
		var r network.Report
		if err := d.Decode(&r); err != nil {
			t.Fatal(err)
		}
		reports = append(reports, r)
	}
	return reports, err
}

func TestReadJSON(t *testing.T) {
	t.Parallel()
	path, wire := writePcap(t, "mix.pcap", spread(4, 5000))
	reports, err := readJSON(t, path)
	if err != nil {
		t.Fatal(err)
	}
	var sum network.Ledger
	for i, r := range reports {
		if len(r.Interfaces) != 1 || !r.Interfaces[0].Balanced() || r.Interfaces[0].Interface != path || r.Sequence != uint64(i+1) {
			t.Errorf("report %d is %+v with %+v", i, r.Identity, r.Interfaces)
		}
		sum.Received += r.Interfaces[0].Received
		sum.Bytes += r.Interfaces[0].Bytes
	}
	if sum.Received != 5000 || sum.Bytes != wire || len(reports) < 6 || len(reports) > 8 {
		t.Errorf("%d reports with %d packets, %d bytes, want 5000 and %d", len(reports), sum.Received, sum.Bytes, wire)
	}
	again, err := readJSON(t, path)
	if err != nil || again[0].Boot != reports[0].Boot {
		t.Errorf("the same file has the boots %s and %s (%v)", reports[0].Boot, again[0].Boot, err)
	}
}

func TestReadDeliver(t *testing.T) {
	t.Parallel()
	node := newFakeNode(t)
	path, wire := writePcap(t, "mix.pcap", spread(5, 20000))
	deliver := testConfig(t, node.URL)
	read := func() (string, error) {
		var out, progress bytes.Buffer
		err := ReadFiles(t.Context(), []string{path}, ReadOptions{Out: &out, Progress: &progress, Deliver: &deliver, Version: "v1"})
		return out.String(), err
	}
	text, err := read()
	if err != nil || !strings.Contains(text, "20000 packets in 6 reports: 6 committed, 0 known already, 0 refused") {
		t.Errorf("it says %q (%v)", text, err)
	}
	by, _ := node.ledgers(t)
	if l := by[path]; l.Received != 20000 || l.Bytes != wire {
		t.Errorf("arrived is %+v, want 20000 packets in %d bytes", l, wire)
	}
	want, err := readJSON(t, path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range want { // the JSON form has nanoseconds and no MACs
		if got := node.reports[i]; len(got.Flows) != len(want[i].Flows) || len(got.DNS) != len(want[i].DNS) || len(got.TLS) != len(want[i].TLS) {
			t.Errorf("report %d differs", i)
		}
	}
	if text, err = read(); err != nil || !strings.Contains(text, "0 committed, 6 known already") {
		t.Errorf("the second time it says %q (%v)", text, err)
	}
	node.set(http.StatusUnprocessableEntity)
	if text, err = read(); err == nil || !strings.Contains(err.Error(), "not today") || !strings.Contains(text, "6 refused") {
		t.Errorf("refused, it says %q (%v)", text, err)
	}
	node.set(http.StatusUnauthorized)
	if text, err = read(); err == nil || !strings.Contains(err.Error(), "6 reports were not delivered") {
		t.Errorf("denied, it says %q (%v)", text, err)
	}
}

// TestReadDeliverNow shows that an old capture arrives as one of today, with
// its own distances in time.
func TestReadDeliverNow(t *testing.T) {
	t.Parallel()
	node := newFakeNode(t)
	path, _ := writePcap(t, "old.pcap", spread(5, 2000))
	deliver := testConfig(t, node.URL)
	for round := range 2 {
		var out bytes.Buffer
		began := time.Now().Add(-time.Millisecond)
		err := ReadFiles(t.Context(), []string{path}, ReadOptions{Out: &out, Deliver: &deliver, Now: true})
		if err != nil || !strings.Contains(out.String(), "6 committed, 0 known already, 0 refused") {
			t.Fatalf("it says %q (%v)", out.String(), err)
		}
		want, err := readJSON(t, path)
		if err != nil {
			t.Fatal(err)
		}
		got := node.reports[round*len(want):]
		if last := got[len(want)-1].End; last.Before(began.Add(-time.Second)) || last.After(time.Now().Add(time.Second)) {
			t.Errorf("it ends at %s, want now", last)
		}
		for i := range want {
			old, shifted := want[i].Flows, got[i].Flows
			if len(old) != len(shifted) {
				t.Fatalf("report %d has %d flows, want %d", i, len(shifted), len(old))
			}
			for _, flows := range [][]network.Flow{old, shifted} { // the order says nothing
				slices.SortStableFunc(flows, func(a, b network.Flow) int { return a.Start.Compare(b.Start) })
			}
			for j := range old {
				before, after := old[j].Start.Sub(want[0].Start), shifted[j].Start.Sub(got[0].Start)
				if d := before - after; d > time.Microsecond || d < -time.Microsecond {
					t.Fatalf("flow %d of report %d begins %s after the first packet, want %s", j, i, after, before)
				}
			}
		}
	}
}

func TestReadDamaged(t *testing.T) {
	t.Parallel()
	good, _ := writePcap(t, "good.pcap", spread(6, 500))
	b, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	huge := bytes.Clone(b)
	copy(huge[24+8:], []byte{0xff, 0xff, 0xff, 0xff})
	for name, content := range map[string][]byte{"empty": nil, "garbage": []byte("this is no capture"), "huge length": huge, "truncated": b[:len(b)-7], "header only": b[:24]} {
		bad := filepath.Join(t.TempDir(), "bad")
		if err := os.WriteFile(bad, content, 0o600); err != nil {
			t.Fatal(err)
		}
		reports, err := readJSON(t, bad, good)
		if (err == nil) != (name == "header only") || err != nil && (!strings.Contains(err.Error(), bad) || strings.Contains(err.Error(), "\n")) {
			t.Errorf("%s: the error is %v", name, err)
		}
		var packets uint64
		for _, r := range reports {
			packets += r.Interfaces[0].Received
		}
		want := uint64(500)
		if name == "truncated" {
			want += 499
		}
		if packets != want {
			t.Errorf("%s: %d packets were read, want %d", name, packets, want)
		}
	}
	if _, err := readJSON(t, filepath.Join(t.TempDir(), "nothing")); err == nil {
		t.Error("a file that does not exist is read")
	}
}

func TestReadSummary(t *testing.T) {
	t.Parallel()
	path, _ := writePcap(t, "mix.pcap", spread(7, 3000))
	var out bytes.Buffer
	if err := ReadFiles(t.Context(), []string{path, path}, ReadOptions{Out: &out}); err != nil {
		t.Fatal(err)
	}
	text := out.String()
	first, second, _ := strings.Cut(text, "\n\n")
	if diff := cmp.Diff(first+"\n\n", second); diff != "" {
		t.Errorf("two readings of one file differ:\n%s", diff)
	}
	for _, want := range []string{path, "3000 packets", "ledger: received 3000 = summarised", "SOURCE", "tcp", "KiB"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in:\n%s", want, text)
		}
	}
	if strings.Contains(text, "ADD UP") {
		t.Error(text)
	}
	if n := strings.Count(first, "\n"); n != 4+1+topFlows { // one of them counts the records
		t.Errorf("the summary has %d lines:\n%s", n, first)
	}
}

// TestReadCorpus reads real captures, many of them odd on purpose.
func TestReadCorpus(t *testing.T) {
	t.Parallel()
	root := os.Getenv("RIND_PCAPS")
	if root == "" {
		root = "../../../../shared/pcaps"
	}
	var files []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && strings.Contains(path, "cap") && filepath.Ext(path) != ".md" && !strings.Contains(path, "LICENSE") && !strings.Contains(path, "COPYING") {
			files = append(files, path)
		}
		return err
	})
	if err != nil || len(files) == 0 {
		t.Skip("there are no captures in " + root)
	}
	for _, file := range files {
		reports, err := readJSON(t, file)
		if err != nil && strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: more than one error: %v", file, err)
		}
		for _, r := range reports {
			if len(r.Interfaces) != 1 || !r.Interfaces[0].Balanced() {
				t.Errorf("%s: the ledger %+v does not add up", file, r.Interfaces)
			}
		}
	}
}

// TestReadSpool shows that what is spooled is what would be delivered.
func TestReadSpool(t *testing.T) {
	t.Parallel()
	path, wire := writePcap(t, "mix.pcap", spread(8, 5000))
	dir := t.TempDir()
	var out bytes.Buffer
	if err := ReadFiles(t.Context(), []string{path}, ReadOptions{Out: &out, Spool: dir}); err != nil {
		t.Fatal(err)
	}
	want, err := readJSON(t, path)
	if err != nil {
		t.Fatal(err)
	}
	spool, err := uplink.OpenSpool(uplink.SpoolConfig{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer spool.Abandon()
	if n := spool.Stats().Reports; n != uint64(len(want)) || !strings.Contains(out.String(), "5000 packets in 6 reports of ") {
		t.Errorf("%d reports are spooled, want %d; it says %q", n, len(want), out.String())
	}
	var bytesOf uint64
	for i := range want {
		e, ok := spool.Oldest()
		if !ok {
			t.Fatalf("there are %d reports, want %d", i, len(want))
		}
		body, err := spool.Read(e)
		if err != nil {
			t.Fatal(err)
		}
		r, err := report.Decode(body, report.DefaultLimits())
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Flows) != len(want[i].Flows) || len(r.DNS) != len(want[i].DNS) {
			t.Errorf("report %d differs", i)
		}
		bytesOf += r.Interfaces[0].Bytes
		if err := spool.Remove(e); err != nil {
			t.Fatal(err)
		}
	}
	if bytesOf != wire {
		t.Errorf("%d bytes were counted, want %d", bytesOf, wire)
	}
}
