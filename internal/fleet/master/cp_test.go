package master_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/base/database/databasetest"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/blob"
	"github.com/rind-project/rind/internal/fleet/blob/store"
	"github.com/rind-project/rind/internal/fleet/bus"
	"github.com/rind-project/rind/internal/fleet/fleettest"
	"github.com/rind-project/rind/internal/fleet/job/function/cp"
	"github.com/rind-project/rind/internal/fleet/master"
)

// files starts a store of files on the broker.
func (w *world) files(db *database.DB) *store.Store {
	w.t.Helper()
	s, err := store.New(store.DefaultConfig(), store.Deps{DB: db, JS: func() jetstream.JetStream { return w.JS }, Now: time.Now, Log: fleettest.Log()})
	if err != nil {
		w.t.Fatal(err)
	}
	if err := s.Start(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { stop(w.t, s) })
	return s
}

// bring brings a file as people do.
func bring(t *testing.T, s *store.Store, data []byte) string {
	t.Helper()
	sum := blob.Sum(data)
	p, err := s.Begin(t.Context(), store.People, blob.Begin{SHA256: sum, Size: int64(len(data))}, "anna")
	for err == nil && p.Next < p.Chunks {
		p, err = s.Put(t.Context(), store.People, sum, p.Next, data[p.Next*blob.Chunk:min((p.Next+1)*blob.Chunk, len(data))])
	}
	if err == nil {
		err = s.Done(t.Context(), store.People, sum)
	}
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

// copied is how much is copied: little beside the other tests, whose bus is on
// the same disk, and 300 MB in the nightly run.
func copied() int {
	if os.Getenv("RIND_NIGHTLY") != "" {
		return 300 << 20
	}
	return 6 << 20
}

func fileOf(t *testing.T, n int) []byte {
	t.Helper()
	out := make([]byte, n)
	if _, err := rand.NewChaCha8([32]byte{1}).Read(out); err != nil {
		t.Fatal(err)
	}
	return out
}

// TestCopy brings a file to hosts, and fetches it from there.
func TestCopy(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	files := w.files(databasetest.Open(t, database.SQLite, store.Migrations()))
	m := w.with("one", func(d *master.Deps) { d.Answers = files.Answers() })
	data := fileOf(t, 6<<20+123)
	sum := bring(t, files, data)
	const hosts = 3
	for n := range hosts {
		w.peel(w.Enroll(fleet.PeelID(fmt.Sprintf("web-%d", n))), "")
	}
	fleettest.Eventually(t, "all connect", online(m, hosts))
	dest := filepath.Join(t.TempDir(), "app")
	// They are on one machine, and each puts the same file in the same place:
	// one after the other would not show that two are at it.
	for n := range hosts {
		id := fmt.Sprintf("web-%d", n)
		j, returns := finish(t, m, fleet.JobRequest{Target: id, Function: "cp.get", Args: []string{sum, dest + id, "mode=0600"}, Timeout: time.Minute})
		if b, err := os.ReadFile(dest + id); j.Summary.Failed+j.Summary.Missing > 0 || err != nil || !bytes.Equal(b, data) {
			t.Errorf("%s: %+v %+v %d bytes %v", id, j.Summary, returns, len(b), err)
		}
	}
	_, returns := finish(t, m, fleet.JobRequest{Target: "web-1", Function: "cp.push", Args: []string{dest + "web-1"}, Timeout: time.Minute})
	var p blob.Pushed
	if r := returns["web-1"]; !r.OK || json.Unmarshal(r.Value, &p) != nil || p.SHA256 != sum || p.Size != int64(len(data)) {
		t.Fatalf("%+v", r)
	}
	var got []byte
	for n := range blob.Chunks(p.Size) {
		_, b, err := files.Read(t.Context(), "web-1", sum, n)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, b...)
	}
	if !bytes.Equal(got, data) {
		t.Error("something else came from the host")
	}
	if _, _, err := files.Read(t.Context(), "web-0", sum, 0); err == nil {
		t.Error("it is another host's too")
	}
}

// TestCopyGoesOnAfterThePeel: the peel ends in the middle; the next job has it
// go on where it was.
func TestCopyGoesOnAfterThePeel(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	files := w.files(databasetest.Open(t, database.SQLite, store.Migrations()))
	until := copied() / blob.Chunk / 4
	var asked atomic.Int32
	var open atomic.Bool
	reached := make(chan struct{}, 100)
	answers := files.Answers()
	get := answers[blob.AskGet]
	answers[blob.AskGet] = func(ctx context.Context, id fleet.PeelID, data []byte) ([]byte, error) {
		if asked.Add(1) > int32(until) && !open.Load() {
			reached <- struct{}{}
			return nil, errors.New("not now")
		}
		return get(ctx, id, data)
	}
	m := w.with("one", func(d *master.Deps) { d.Answers = answers })
	data := fileOf(t, copied())
	sum := bring(t, files, data)
	c, dir, dest := w.Enroll("web-1"), t.TempDir(), filepath.Join(t.TempDir(), "app")
	p, _ := w.peel(c, dir)
	fleettest.Eventually(t, "it connects", online(m, 1))
	req := fleet.JobRequest{Target: "web-1", Function: "cp.get", Args: []string{sum, dest}, Timeout: 5 * time.Minute}
	if _, err := m.Run(t.Context(), req); err != nil {
		t.Fatal(err)
	}
	<-reached
	stop(t, p)
	open.Store(true)
	if _, err := os.Stat(dest); err == nil {
		t.Error("half a file has the name of the whole")
	}
	w.peel(c, dir)
	asked.Store(0)
	_, returns := finish(t, m, req)
	r := returns["web-1"]
	var got cp.Got
	if b, err := os.ReadFile(dest); !r.OK || err != nil || !bytes.Equal(b, data) || json.Unmarshal(r.Value, &got) != nil || got.Resumed < int64(until-1)*blob.Chunk {
		t.Errorf("%+v %s: %d bytes %v", r, r.Value, len(b), err)
	}
	if n := int(asked.Load()); n > blob.Chunks(int64(len(data)))-until+1 {
		t.Errorf("%d chunks were asked for again", n)
	}
}

// TestCopyGoesOnAfterTheServer: the master ends in the middle; the job that
// runs on the host goes on with the next one.
func TestCopyGoesOnAfterTheServer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	db := databasetest.Open(t, database.SQLite, store.Migrations())
	files := w.files(db)
	reached := make(chan struct{}, 100)
	var asked atomic.Int32
	answers := files.Answers()
	get := answers[blob.AskGet]
	answers[blob.AskGet] = func(ctx context.Context, id fleet.PeelID, data []byte) ([]byte, error) {
		if asked.Add(1) > int32(copied()/blob.Chunk/4) {
			reached <- struct{}{}
			return nil, errors.New("the server is stopping")
		}
		return get(ctx, id, data)
	}
	one := w.with("one", func(d *master.Deps) { d.Answers = answers })
	data := fileOf(t, copied())
	sum := bring(t, files, data)
	dest := filepath.Join(t.TempDir(), "app")
	w.peel(w.Enroll("web-1"), t.TempDir())
	fleettest.Eventually(t, "it connects", online(one, 1))
	j, err := one.Run(t.Context(), fleet.JobRequest{Target: "web-1", Function: "cp.get", Args: []string{sum, dest}, Timeout: 5 * time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	<-reached
	stop(t, one)
	stop(t, files)
	next := w.files(db)
	two := w.with("one", func(d *master.Deps) { d.Answers = next.Answers() })
	end, returns := follow(t, two, j.JID)
	if b, err := os.ReadFile(dest); err != nil || !bytes.Equal(b, data) || end.Summary.Failed+end.Summary.Missing > 0 || !returns["web-1"].OK {
		t.Errorf("%+v %+v: %d bytes %v", end.Summary, returns, len(b), err)
	}
}

// TestBlobsAreOnesOwn: a peel cannot speak as another to bring or get a file.
func TestBlobsAreOnesOwn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	files := w.files(databasetest.Open(t, database.SQLite, store.Migrations()))
	w.with("one", func(d *master.Deps) { d.Answers = files.Answers() })
	w.Enroll("peel-b")
	nc := w.Peel("peel-a").NC
	sum := blob.Sum([]byte("x"))
	begin, _ := json.Marshal(blob.Begin{SHA256: sum, Size: 1})
	if answer, err := fleettest.Ask(t.Context(), nc, bus.AskSubject("peel-b", blob.AskBegin), begin, time.Second); err == nil {
		t.Errorf("peel-a brings as peel-b: %s", answer)
	}
	if _, err := fleettest.Ask(t.Context(), nc, bus.AskSubject("peel-a", blob.AskBegin), begin, 10*time.Second); err != nil {
		t.Error(err)
	}
	packed, _ := blob.Pack(blob.Header{SHA256: sum, Sum: sum}, []byte("x"))
	for _, step := range []struct {
		ask  string
		data []byte
	}{{blob.AskPut, packed}, {blob.AskDone, begin}} {
		if _, err := fleettest.Ask(t.Context(), nc, bus.AskSubject("peel-a", step.ask), step.data, 10*time.Second); err != nil {
			t.Errorf("%s: %v", step.ask, err)
		}
	}
	// It is under its own id, and not for the peels that ask by hash.
	get, _ := json.Marshal(blob.Header{SHA256: sum})
	if answer, err := fleettest.Ask(t.Context(), nc, bus.AskSubject("peel-a", blob.AskGet), get, 10*time.Second); !errors.Is(err, bus.ErrRefused) {
		t.Errorf("%s %v", answer, err)
	}
	if _, _, err := files.Read(t.Context(), "peel-a", sum, 0); err != nil {
		t.Error(err)
	}
	// The stream itself is out of reach.
	for _, subject := range []string{"blob.p.peel-a." + sum + ".x.0", "$JS.API.DIRECT.GET." + bus.FilesStream + ".blob.s." + sum + ".x.0"} {
		if msg, err := nc.Request(subject, []byte("x"), 300*time.Millisecond); err == nil {
			t.Errorf("%s answers %s", subject, msg.Data)
		}
	}
}
