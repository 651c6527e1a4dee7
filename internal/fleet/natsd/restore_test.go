package natsd_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet/bus"
	"github.com/rind-project/rind/internal/fleet/bus/archive"
)

// history is all that a bucket holds, in order, without the times.
func (b *fleetBus) history(name string) []string {
	b.t.Helper()
	var all []string
	js := b.js(b.master())
	stream := "KV_" + name
	if name == bus.EventsStream {
		stream = name
	}
	s, err := js.Stream(b.t.Context(), stream)
	if err != nil {
		b.t.Fatal(err)
	}
	state := s.CachedInfo().State
	if state.Msgs == 0 {
		return nil
	}
	for seq := state.FirstSeq; seq <= state.LastSeq; seq++ {
		m, err := s.GetMsg(b.t.Context(), seq)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue
		}
		if err != nil {
			b.t.Fatal(err)
		}
		all = append(all, fmt.Sprintf("%s %s %d %.20q", m.Subject, m.Header.Get("KV-Operation"), len(m.Data), m.Data))
	}
	return all
}

// fillBuckets stores something of every sort.
func (b *fleetBus) fillBuckets() jetstream.JetStream {
	b.t.Helper()
	js := b.ensured()
	ctx := b.t.Context()
	facts, err := js.KeyValue(ctx, bus.Facts)
	if err != nil {
		b.t.Fatal(err)
	}
	for i := range 200 {
		if _, err := facts.Put(ctx, fmt.Sprintf("web-%02d", i%40), fmt.Appendf(nil, `{"n":%d}`, i)); err != nil {
			b.t.Fatal(err)
		}
	}
	if err := facts.Delete(ctx, "web-03"); err != nil {
		b.t.Fatal(err)
	}
	secrets, err := js.KeyValue(ctx, bus.Secrets)
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := secrets.Put(ctx, "a", []byte("x")); err != nil {
		b.t.Fatal(err)
	}
	if err := secrets.Purge(ctx, "a"); err != nil {
		b.t.Fatal(err)
	}
	jobs, err := js.KeyValue(ctx, bus.Jobs)
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := jobs.Put(ctx, "big", bytes.Repeat([]byte("j"), 1000<<10-200)); err != nil {
		b.t.Fatal(err)
	}
	for _, subject := range []string{"jobevt.j1.started", "event.web-01.disk.full"} {
		if _, err := js.Publish(ctx, subject, []byte(subject)); err != nil {
			b.t.Fatal(err)
		}
	}
	return js
}

func save(t *testing.T, js jetstream.JetStream) ([]byte, archive.Trailer) {
	t.Helper()
	var out bytes.Buffer
	w, err := archive.NewWriter(&out, archive.Header{Made: time.Now()})
	if err == nil {
		err = archive.SaveBuckets(t.Context(), js, w)
	}
	if err != nil {
		t.Fatal(err)
	}
	trailer, err := w.Close()
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes(), trailer
}

// fill restores the named buckets from an archive.
func (b *fleetBus) fill(js jetstream.JetStream, from []byte, trailer archive.Trailer, now time.Time, replace bool, names ...string) map[string]archive.Filled {
	b.t.Helper()
	have, err := b.Capacity(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	to, err := bus.NewRestorer(b.t.Context(), js, have)
	if err != nil {
		b.t.Fatal(err)
	}
	var want []archive.Part
	over := map[string]bool{}
	for _, name := range names {
		p, ok := trailer.Part(archive.KindBucket, name)
		if !ok {
			b.t.Fatalf("no part %s", name)
		}
		want, over[name] = append(want, p), replace
	}
	f := archive.NewFiller(js, to, want, over, func() time.Time { return now })
	got, err := f.Fill(b.t.Context(), func(v archive.Visitor) error {
		_, _, err := archive.Read(bytes.NewReader(from), v)
		return err
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return got
}

func allLasting() []string {
	var names []string
	for _, cfg := range bus.LastingConfigs() {
		names = append(names, bus.NameOf(cfg.Name))
	}
	return names
}

// Each bucket and the events come back as they were, with their history.
func TestBucketsComeBackAsTheyWere(t *testing.T) {
	t.Parallel()
	b := startBus(t, t.TempDir())
	js := b.fillBuckets()
	before := map[string][]string{}
	for _, name := range allLasting() {
		before[name] = b.history(name)
	}
	from, trailer := save(t, js)
	if trailer.Failed() {
		t.Fatalf("%+v", trailer)
	}
	last, _ := trailer.Part(archive.KindBucket, bus.Facts)
	for name := range js.StreamNames(t.Context()).Name() {
		if err := js.DeleteStream(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	for name, f := range b.fill(js, from, trailer, time.Now(), false, allLasting()...) {
		if f.Err != nil || f.Values != int64(len(before[name])) {
			t.Errorf("%s: %+v, had %d", name, f, len(before[name]))
		}
	}
	// The next start finds them, and what holds nothing of value is made.
	if err := bus.Ensure(t.Context(), js, 1); err != nil {
		t.Fatalf("the next start: %v", err)
	}
	for _, name := range allLasting() {
		if diff := cmp.Diff(before[name], b.history(name)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	facts, err := js.KeyValue(t.Context(), bus.Facts)
	if err != nil {
		t.Fatal(err)
	}
	rev, err := facts.Put(t.Context(), "web-01", []byte("{}"))
	if err != nil || rev <= last.LastSeq {
		t.Errorf("the next revision is %d, was %d: %v", rev, last.LastSeq, err)
	}
	if s, err := js.Stream(t.Context(), "KV_"+bus.Facts); err != nil || s.CachedInfo().Config.FirstSeq != last.LastSeq+1 {
		t.Errorf("the first sequence number that the bucket was made with is forgotten (%v)", err)
	}
	// What is back can be lost again, and is missed.
	if err := js.DeleteStream(t.Context(), "KV_"+bus.Secrets); err != nil {
		t.Fatal(err)
	}
	if err := bus.Ensure(t.Context(), js, 1); !errors.Is(err, bus.ErrLost) || !strings.Contains(err.Error(), bus.Secrets) {
		t.Errorf("secrets are gone again: %v", err)
	}
}

// What is there is left alone, unless it is replaced; what has expired since
// does not come back.
func TestRestoreLeavesAloneAndReplaces(t *testing.T) {
	t.Parallel()
	b := startBus(t, t.TempDir())
	js := b.fillBuckets()
	from, trailer := save(t, js)
	want := b.history(bus.Facts)
	facts, err := js.KeyValue(t.Context(), bus.Facts)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := facts.Put(t.Context(), "later", []byte("{}")); err != nil {
		t.Fatal(err)
	}
	got := b.fill(js, from, trailer, time.Now(), false, bus.Facts)
	if !errs.Is(got[bus.Facts].Err, errs.Conflict) || len(b.history(bus.Facts)) != len(want)+1 {
		t.Errorf("left alone: %+v", got)
	}
	got = b.fill(js, from, trailer, time.Now().Add(8*24*time.Hour), true, bus.Facts, bus.Jobs)
	if diff := cmp.Diff(want, b.history(bus.Facts)); diff != "" {
		t.Error(diff)
	}
	if f := got[bus.Jobs]; f.Err != nil || f.Values != 0 || f.Expired != 1 {
		t.Errorf("jobs of a week ago: %+v", f)
	}
}

// A restore that was cut short leaves no half a bucket that anybody takes for a
// whole one; while it goes on, nobody writes between.
func TestHalfARestoreIsNoBucket(t *testing.T) {
	t.Parallel()
	b := startBus(t, t.TempDir())
	js := b.fillBuckets()
	from, trailer := save(t, js)
	if err := js.DeleteStream(t.Context(), "KV_"+bus.Facts); err != nil {
		t.Fatal(err)
	}
	have, err := b.Capacity(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	to, err := bus.NewRestorer(t.Context(), js, have)
	if err != nil {
		t.Fatal(err)
	}
	g, err := to.Begin(t.Context(), bus.Facts, 300, 0, false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.Publish(t.Context(), g.Subject("web-00"), []byte("{}")); err != nil {
		t.Fatal(err)
	}
	if _, err := js.Publish(t.Context(), "$KV.facts.web-01", []byte("{}"), jetstream.WithRetryAttempts(0)); !errors.Is(err, nats.ErrNoResponders) && !errors.Is(err, jetstream.ErrNoStreamResponse) {
		t.Errorf("somebody else writes meanwhile: %v", err)
	}
	if err := bus.Ensure(t.Context(), js, 1); !errors.Is(err, bus.ErrLost) || !strings.Contains(err.Error(), bus.Facts) {
		t.Errorf("a start in between: %v", err)
	}
	if gone, err := bus.Gone(t.Context(), js); err != nil || !cmp.Equal(gone, []string{bus.Facts}) {
		t.Errorf("gone are %v (%v)", gone, err)
	}
	if got := b.fill(js, from, trailer, time.Now(), false, bus.Facts); got[bus.Facts].Err != nil {
		t.Errorf("the second try: %+v", got)
	}
	if err := bus.Ensure(t.Context(), js, 1); err != nil {
		t.Errorf("the start after it: %v", err)
	}
}

// A bucket that is gone is named, and the rest is saved.
func TestSavingWithoutOne(t *testing.T) {
	t.Parallel()
	b := startBus(t, t.TempDir())
	js := b.fillBuckets()
	if err := js.DeleteStream(t.Context(), "KV_"+bus.Enrollments); err != nil {
		t.Fatal(err)
	}
	from, trailer := save(t, js)
	for _, p := range trailer.Parts {
		if (p.Problem != "") != (p.Name == bus.Enrollments) {
			t.Errorf("%+v", p)
		}
	}
	if _, again, err := archive.Check(bytes.NewReader(from)); err != nil || !cmp.Equal(trailer, again) {
		t.Errorf("%v %+v", err, again)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w, err := archive.NewWriter(&bytes.Buffer{}, archive.Header{})
	if err == nil {
		err = archive.SaveBuckets(ctx, js, w)
	}
	if err == nil {
		t.Error("nobody waits any more, and it was saved")
	}
}

// On three servers a bucket comes back on all of them, while they run.
func TestRestoreInACluster(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, 3)
	c.startAll()
	c.lead()
	b := c.servers[0]
	js := b.js(b.master())
	var err error
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		var have bus.Capacity
		if have, err = b.Capacity(t.Context()); err == nil && have.Servers < 3 {
			err = fmt.Errorf("%d servers keep streams", have.Servers)
		}
		if err == nil {
			if err = bus.EnsureWithin(t.Context(), js, have); err == nil {
				break
			}
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	facts, err := js.KeyValue(t.Context(), bus.Facts)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		if _, err := facts.Put(t.Context(), "web-01", fmt.Appendf(nil, "%d", i)); err != nil {
			t.Fatal(err)
		}
	}
	from, trailer := save(t, js)
	want := b.history(bus.Facts)
	if err := js.DeleteStream(t.Context(), "KV_"+bus.Facts); err != nil {
		t.Fatal(err)
	}
	other := c.servers[1]
	if got := other.fill(other.js(other.master()), from, trailer, time.Now(), false, bus.Facts); got[bus.Facts].Err != nil {
		t.Fatalf("%+v", got)
	}
	if diff := cmp.Diff(want, b.history(bus.Facts)); diff != "" {
		t.Error(diff)
	}
	s, err := js.Stream(t.Context(), "KV_"+bus.Facts)
	if err != nil || s.CachedInfo().Config.Replicas != 3 {
		t.Errorf("%+v %v", s, err)
	}
	have, err := b.Capacity(t.Context())
	if err == nil {
		err = bus.EnsureWithin(t.Context(), js, have)
	}
	if err != nil {
		t.Error(err)
	}
}
