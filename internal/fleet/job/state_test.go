package job_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/job"
)

func openSeen(t *testing.T, file string, at time.Time) *job.Seen {
	t.Helper()
	s, err := job.OpenSeen(file, at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestSeenAcrossRestarts(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "seen")
	a, b, c := job.NewJID(), job.NewJID(), job.NewJID()
	s := openSeen(t, file, now)
	for _, jid := range []string{a, b, c} {
		until := now.Add(time.Hour)
		if jid == c {
			until = now.Add(time.Minute)
		}
		if fresh, err := s.Add(jid, until, now); !fresh || err != nil {
			t.Fatalf("add: %v, %v", fresh, err)
		}
	}
	if err := s.Answered(a, now); err != nil {
		t.Fatal(err)
	}
	// A crash in the middle of a write leaves half a line.
	f, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(f, "+%s 17", job.NewJID())
	f.Close()
	s = openSeen(t, file, now.Add(2*time.Minute))
	if !s.Has(a) || !s.Has(b) || s.Has(c) {
		t.Errorf("after the restart: a %v, b %v, the one that is over %v", s.Has(a), s.Has(b), s.Has(c))
	}
	if diff := cmp.Diff([]string{b}, s.Unanswered()); diff != "" {
		t.Errorf("unanswered (-want +got):\n%s", diff)
	}
	if fresh, err := s.Add(b, now.Add(time.Hour), now); fresh || err != nil {
		t.Errorf("again: %v, %v", fresh, err)
	}
}

func TestSeenStaysSmall(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "seen")
	s := openSeen(t, file, now)
	at := now
	for range 5000 {
		at = at.Add(time.Second)
		jid := job.NewJID()
		if _, err := s.Add(jid, at.Add(10*time.Second), at); err != nil {
			t.Fatal(err)
		}
		if err := s.Answered(jid, at); err != nil {
			t.Fatal(err)
		}
	}
	if info, err := os.Stat(file); err != nil || info.Size() > 200<<10 {
		t.Errorf("the file has %d bytes, %v", info.Size(), err)
	}
}

func TestSeenIsBounded(t *testing.T) {
	t.Parallel()
	s := openSeen(t, "", now)
	for range 1 << 16 {
		if _, err := s.Add(job.NewJID(), now.Add(time.Hour), now); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Add(job.NewJID(), now.Add(time.Hour), now); err == nil {
		t.Error("one more than the limit was taken")
	}
	if fresh, err := s.Add(job.NewJID(), now.Add(3*time.Hour), now.Add(2*time.Hour)); !fresh || err != nil {
		t.Errorf("when the others are over: %v, %v", fresh, err)
	}
}

func encode(t *testing.T, r fleet.Return) []byte {
	t.Helper()
	b, err := job.Encode(r)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestSpool(t *testing.T) {
	t.Parallel()
	for _, dir := range []string{"", filepath.Join(t.TempDir(), "returns")} {
		s, err := job.OpenSpool(dir)
		if err != nil {
			t.Fatal(err)
		}
		first := fleet.Return{JID: job.NewJID(), Peel: "web", OK: true, Value: []byte(`{"a":1}`), Finished: now}
		second := fleet.Return{JID: job.NewJID(), Peel: "web", Error: "no"}
		for _, r := range []fleet.Return{second, first, first} {
			if err := s.Put(r.JID, encode(t, r), true); err != nil {
				t.Fatal(err)
			}
		}
		if dir != "" {
			if err := os.WriteFile(filepath.Join(dir, ".x.json.123.tmp"), []byte("{"), 0o600); err != nil {
				t.Fatal(err)
			}
			if s, err = job.OpenSpool(dir); err != nil {
				t.Fatal(err)
			}
		}
		if diff := cmp.Diff([]string{first.JID, second.JID}, s.Jobs()); diff != "" {
			t.Errorf("%q: jobs (-want +got):\n%s", dir, diff)
		}
		got, _, err := s.Get(first.JID)
		if diff := cmp.Diff(first, got); err != nil || diff != "" {
			t.Errorf("%q: %v (-want +got):\n%s", dir, err, diff)
		}
		if err := s.Remove(first.JID); err != nil || s.Has(first.JID) || !s.Has(second.JID) {
			t.Errorf("%q: after remove: %v", dir, err)
		}
		if _, _, err := s.Get(first.JID); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%q: reading what is gone: %v", dir, err)
		}
	}
}

func TestSpoolIsBounded(t *testing.T) {
	t.Parallel()
	s, err := job.OpenSpool("")
	if err != nil {
		t.Fatal(err)
	}
	for range 1024 {
		if err := s.Put(job.NewJID(), []byte("{}"), false); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Put(job.NewJID(), []byte("{}"), false); !errors.Is(err, job.ErrSpoolFull) {
		t.Errorf("one too many: %v", err)
	}
}

func TestSplitAndJoin(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 1, job.ChunkSize - 200, job.ChunkSize, 3*job.ChunkSize + 7, 15 << 20} {
		jid := job.NewJID()
		want := fleet.Return{JID: jid, Peel: "web", OK: true, Value: []byte(`"` + strings.Repeat("x", size) + `"`), Started: now, Finished: now}
		msgs, err := job.Split(encode(t, want))
		if err != nil {
			t.Fatal(err)
		}
		var parts [][]byte
		var got fleet.Return
		for n, m := range msgs {
			if len(m) > 1000<<10 {
				t.Errorf("%d: part %d has %d bytes, more than the bucket takes", size, n, len(m))
			}
			p, err := job.ParsePart(m, jid, "web", n)
			if err != nil {
				t.Fatal(err)
			}
			if got = p.Return; p.Of > 0 {
				parts = append(parts, slices.Clone(p.Bytes))
			}
		}
		if len(parts) > 0 {
			if got, err = job.Join(parts, jid, "web"); err != nil {
				t.Fatal(err)
			}
		}
		if string(got.Value) != string(want.Value) || got.JID != jid || !got.OK {
			t.Errorf("%d bytes came back as %d", len(want.Value), len(got.Value))
		}
	}
	if _, err := job.Split(encode(t, fleet.Return{Value: []byte(`"` + strings.Repeat("x", job.MaxReturn) + `"`)})); err == nil {
		t.Error("a return over the limit was split")
	}
}

func FuzzParsePart(f *testing.F) {
	f.Add([]byte(`{"jid":"x","peel":"other","ok":true,"value":{"a":[1]}}`), 0)
	f.Add([]byte(`{"of":3,"part":"YWJj"}`), 2)
	f.Add([]byte(`{"of":1000000000,"part":""}`), 5)
	f.Add([]byte(`{"of":-1}`), 0)
	f.Fuzz(func(t *testing.T, data []byte, n int) {
		p, err := job.ParsePart(data, "jid", "web", n)
		if err == nil && (p.JID != "jid" || p.Peel != "web" || p.Of < 0 || p.Of > 33 || p.Of > 0 && n >= p.Of) {
			t.Errorf("taken: %+v at %d", p, n)
		}
	})
}
