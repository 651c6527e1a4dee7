package uplink

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rind-project/rind/internal/base/disk"
	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/network"
)

var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

func open(t *testing.T, cfg SpoolConfig) *Spool {
	t.Helper()
	s, err := OpenSpool(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Abandon)
	return s
}

func begin(t *testing.T, s *Spool, boot string, at time.Time) *network.Gap {
	t.Helper()
	gap, err := s.Begin(boot, at)
	if err != nil {
		t.Fatal(err)
	}
	return gap
}

func appendReport(t *testing.T, s *Spool, n uint64, body string) {
	t.Helper()
	if err := s.Append(n, noon.Add(time.Duration(n)*time.Second), []byte(body)); err != nil {
		t.Fatal(err)
	}
}

// drainSpool reads and removes everything, as "boot/sequence body".
func drainSpool(t *testing.T, s *Spool) (out []string) {
	t.Helper()
	for {
		e, ok := s.Oldest()
		if !ok {
			return out
		}
		b, err := s.Read(e)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, fmt.Sprintf("%s/%d %s", e.Boot, e.Sequence, b))
		if err := s.Remove(e); err != nil {
			t.Fatal(err)
		}
	}
}

func TestSpoolKeepsOrderOverBoots(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var want []string
	// The names of the boots do not sort in their order, as when a clock was
	// set back between them.
	for _, boot := range []string{"c", "b", "a"} {
		s := open(t, SpoolConfig{Dir: dir})
		begin(t, s, boot, noon)
		for n := range uint64(12) {
			appendReport(t, s, n+1, "x")
			want = append(want, fmt.Sprintf("%s/%d x", boot, n+1))
		}
		s.Abandon()
	}
	s := open(t, SpoolConfig{Dir: dir})
	if st := s.Stats(); st.Reports != 36 || st.Bytes != 36*(fileHeader+1) {
		t.Errorf("stats are %+v", st)
	}
	if diff := cmp.Diff(want, drainSpool(t, s)); diff != "" {
		t.Error(diff)
	}
	if st := s.Stats(); st.Reports != 0 || st.Bytes != 0 {
		t.Errorf("the empty spool has %+v", st)
	}
}

func TestSpoolGap(t *testing.T) {
	t.Parallel()
	last := noon.Add(2 * time.Second)
	start, later := noon.Add(time.Hour), noon.Add(2*time.Hour)
	tests := []struct {
		name string
		run  func(t *testing.T, s *Spool) // the boot "one", begun at noon
		want *network.Gap                 // of the boot "two", begun at start
	}{
		{"clean end", func(t *testing.T, s *Spool) {
			appendReport(t, s, 1, "x")
			if err := s.End(); err != nil {
				t.Fatal(err)
			}
		}, nil},
		{"killed after a report", func(t *testing.T, s *Spool) { appendReport(t, s, 1, "x"); appendReport(t, s, 2, "x") },
			&network.Gap{Boot: "one", Sequence: 2, From: last, To: start}},
		{"killed after delivery", func(t *testing.T, s *Spool) { appendReport(t, s, 2, "x"); drainSpool(t, s) },
			&network.Gap{Boot: "one", Sequence: 2, From: last, To: start}},
		{"killed before a report", func(*testing.T, *Spool) {}, &network.Gap{Boot: "one", From: noon, To: start}},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			s := open(t, SpoolConfig{Dir: dir})
			if gap := begin(t, s, "one", noon); gap != nil {
				t.Errorf("the first boot of all has the gap %+v", gap)
			}
			tc.run(t, s)
			s.Abandon()
			s = open(t, SpoolConfig{Dir: dir})
			if diff := cmp.Diff(tc.want, begin(t, s, "two", start)); diff != "" {
				t.Errorf("gap (-want +got):\n%s", diff)
			}
			s.Abandon()
			// Until a report has carried the gap, each boot has to tell it.
			s = open(t, SpoolConfig{Dir: dir})
			want := tc.want
			if want != nil {
				want = &network.Gap{Boot: want.Boot, Sequence: want.Sequence, From: want.From, To: later}
			} else {
				want = &network.Gap{Boot: "two", From: start, To: later}
			}
			if diff := cmp.Diff(want, begin(t, s, "three", later)); diff != "" {
				t.Errorf("gap at the boot after (-want +got):\n%s", diff)
			}
			appendReport(t, s, 1, "x")
			if err := s.End(); err != nil {
				t.Fatal(err)
			}
			s = open(t, SpoolConfig{Dir: dir})
			if gap := begin(t, s, "four", later); gap != nil {
				t.Errorf("a gap that was told is told again: %+v", gap)
			}
		})
	}
}

// TestSpoolCrashBetweenSteps leaves the folder as a kill leaves it between the
// steps of Append, and opens it again.
func TestSpoolCrashBetweenSteps(t *testing.T) {
	t.Parallel()
	three := Entry{Run: 1, Boot: "one", Sequence: 3}
	whole := framed(noon.Add(3*time.Second), []byte("three"))
	start := noon.Add(time.Hour)
	tests := []struct {
		name        string
		file        string
		content     []byte
		want        []string
		gap         uint64
		quarantined uint64
	}{
		{"before the rename", three.name() + disk.TempSuffix, whole, []string{"one/1 one", "one/2 two"}, 2, 0},
		{"in mid-write", three.name() + disk.TempSuffix, whole[:9], []string{"one/1 one", "one/2 two"}, 2, 0},
		{"before the state", three.name(), whole, []string{"one/1 one", "one/2 two", "one/3 three"}, 3, 0},
		{"state half-written", stateName + disk.TempSuffix, []byte(`{"ru`), []string{"one/1 one", "one/2 two"}, 2, 0},
		{"torn file", three.name(), whole[:len(whole)-2], []string{"one/1 one", "one/2 two"}, 2, 1},
		{"file of zeros", three.name(), make([]byte, len(whole)), []string{"one/1 one", "one/2 two"}, 2, 1},
		{"empty file", three.name(), nil, []string{"one/1 one", "one/2 two"}, 2, 1},
		{"flipped bit", three.name(), append(whole[:len(whole)-1:len(whole)-1], 'x'), []string{"one/1 one", "one/2 two"}, 2, 1},
		{"foreign name", "report.report", whole, []string{"one/1 one", "one/2 two"}, 2, 1},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			s := open(t, SpoolConfig{Dir: dir})
			begin(t, s, "one", noon)
			appendReport(t, s, 1, "one")
			appendReport(t, s, 2, "two")
			s.Abandon()
			if err := os.WriteFile(filepath.Join(dir, tc.file), tc.content, 0o600); err != nil {
				t.Fatal(err)
			}
			s = open(t, SpoolConfig{Dir: dir})
			gap := begin(t, s, "two", start)
			want := &network.Gap{Boot: "one", Sequence: tc.gap, From: noon.Add(time.Duration(tc.gap) * time.Second), To: start}
			if diff := cmp.Diff(want, gap); diff != "" {
				t.Errorf("gap (-want +got):\n%s", diff)
			}
			if st := s.Stats(); st.Quarantined != tc.quarantined {
				t.Errorf("%d files were put aside, want %d", st.Quarantined, tc.quarantined)
			}
			if diff := cmp.Diff(tc.want, drainSpool(t, s)); diff != "" {
				t.Errorf("spooled (-want +got):\n%s", diff)
			}
			if left, _ := filepath.Glob(filepath.Join(dir, "*"+disk.TempSuffix)); len(left) > 0 {
				t.Errorf("half-written files stay: %v", left)
			}
		})
	}
}

func TestSpoolDamagedState(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, SpoolConfig{Dir: dir})
	begin(t, s, "one", noon)
	appendReport(t, s, 1, "one")
	s.Abandon()
	if err := os.WriteFile(filepath.Join(dir, stateName), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	s = open(t, SpoolConfig{Dir: dir})
	if gap := begin(t, s, "two", noon); gap == nil || gap.Boot != "one" || gap.Sequence != 1 {
		t.Errorf("the gap is %+v", gap)
	}
	appendReport(t, s, 1, "two")
	if diff := cmp.Diff([]string{"one/1 one", "two/1 two"}, drainSpool(t, s)); diff != "" {
		t.Error(diff)
	}
}

func TestSpoolBounds(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	now := noon
	const room = 3 * (fileHeader + 10)
	cfg := SpoolConfig{Dir: dir, MaxBytes: room, MaxAge: time.Hour, Now: func() time.Time { return now }}
	s := open(t, cfg)
	begin(t, s, "one", noon)
	for n := range uint64(5) {
		appendReport(t, s, n+1, strings.Repeat("x", 10))
	}
	if st := s.Stats(); st.Reports != 3 || st.Bytes != room || st.Dropped != 2 {
		t.Errorf("after five reports: %+v", st)
	}
	if e, _ := s.Oldest(); e.Sequence != 3 {
		t.Errorf("the oldest is %d, want 3", e.Sequence)
	}
	now = now.Add(61 * time.Minute)
	if e, ok := s.Oldest(); ok {
		t.Errorf("report %d outlived its age", e.Sequence)
	}
	if st := s.Stats(); st.Dropped != 5 {
		t.Errorf("after an hour: %+v", st)
	}
	if err := s.Append(6, noon, make([]byte, room)); !errs.Is(err, errs.TooLarge) {
		t.Errorf("a report larger than the spool gives %v", err)
	}
	s.Abandon()
	s = open(t, cfg)
	if st := s.Stats(); st.Dropped != 0 || st.DroppedEver != 5 {
		t.Errorf("after a restart: %+v", st)
	}
}

func TestSpoolQuarantineIsBounded(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, SpoolConfig{Dir: dir})
	begin(t, s, "one", noon)
	for n := range uint64(asideFiles + 20) {
		appendReport(t, s, n+1, "x")
		e, _ := s.Oldest()
		s.Quarantine(e)
	}
	files, err := os.ReadDir(s.aside())
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != asideFiles || !bytes.Contains([]byte(files[len(files)-1].Name()), []byte("00120.report")) {
		t.Errorf("%d files, the last is %s", len(files), files[len(files)-1].Name())
	}
	if st := s.Stats(); st.Reports != 0 || st.Quarantined != asideFiles+20 {
		t.Errorf("stats are %+v", st)
	}
}

func TestSpoolHasOneOwner(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, SpoolConfig{Dir: dir})
	if _, err := OpenSpool(SpoolConfig{Dir: dir}); !errs.Is(err, errs.Conflict) {
		t.Errorf("the second owner gets %v", err)
	}
	if err := s.Append(1, noon, nil); err == nil {
		t.Error("a report was spooled before the boot began")
	}
	s.Abandon()
	open(t, SpoolConfig{Dir: dir})
}

func TestSpoolUnwritable(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenSpool(SpoolConfig{Dir: filepath.Join(file, "spool")}); err == nil || !strings.Contains(err.Error(), "spool.dir") {
		t.Errorf("a spool in a file gives %v", err)
	}
}
