package server

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rind-project/rind/internal/access"
	"github.com/rind-project/rind/internal/fleet/bus"
	"github.com/rind-project/rind/internal/fleet/bus/archive"
	"github.com/rind-project/rind/internal/fleet/peel"
)

// stays is a configuration whose addresses stay, so that hosts find the server
// again.
func stays(t *testing.T) Config {
	t.Helper()
	cfg := testConfig(dataDir(t))
	cfg.Listen, cfg.NATS.Listen = freeAddr(t), freeAddr(t)
	return cfg
}

// rindOn runs a command of the server's program on a configuration.
func rindOn(t *testing.T, cfg Config, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errOut logBuffer
	file := filepath.Join(t.TempDir(), "rind.yaml")
	text := "data_dir: " + cfg.DataDir + "\nlisten: " + cfg.Listen + "\nnats:\n  listen: " + cfg.NATS.Listen +
		"\n  ready_timeout: 30s\n  jetstream:\n    max_file_store: " + cfg.NATS.JetStream.MaxFileStore + "\n    max_mem_store: " + cfg.NATS.JetStream.MaxMemStore + "\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	args = append(args, "--config", file)
	code = Main(args, strings.NewReader(""), &out, &errOut)
	return code, out.String(), errOut.String()
}

// pings runs test.ping on every host.
func (r *running) pings(t *testing.T) {
	t.Helper()
	if code, out, errOut := r.rind(t, "*", "test.ping"); code != 0 || !strings.Contains(out, "web-01: true") {
		t.Errorf("test.ping: %d %q %q", code, out, errOut)
	}
}

// backup saves the fleet, and stays what it should be.
func (r *running) backup(t *testing.T, more ...string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "rind.backup")
	code, out, errOut := r.rind(t, append([]string{"backup", file}, more...)...)
	if code != 0 || !strings.Contains(out, "enrollments") || !strings.Contains(out, "sql") || strings.Contains(out, "NOT SAVED") {
		t.Fatalf("backup: %d %q %q", code, out, errOut)
	}
	if info, err := os.Stat(file); err != nil || info.Mode() != 0o600 {
		t.Errorf("the file: %v %v", info, err)
	}
	return file
}

func connects(t *testing.T, p *peel.Peel) {
	t.Helper()
	eventually(t, time.Minute, "the peel connects again", p.Connected)
}

// Whatever bucket is deleted by hand, the server refuses to start without it
// and names rind restore, and after that one it starts, the hosts come back by
// themselves, and jobs run.
func TestBackupAndRestore(t *testing.T) {
	t.Parallel()
	cfg := stays(t)
	r := start(t, cfg)
	p, _ := agent(t, r.enroll(t, "web-01"))
	r.pings(t)
	eventually(t, 20*time.Second, "the facts are there", func() bool { return r.values(t, bus.Facts) > 0 })
	file := r.backup(t)
	before := map[string]uint64{}
	for _, c := range bus.LastingConfigs() {
		before[bus.NameOf(c.Name)] = r.values(t, bus.NameOf(c.Name))
	}
	for _, lost := range [][]string{{bus.Facts}, {bus.Enrollments, bus.Jobs}, nil} {
		if lost == nil { // everything, also what holds nothing of value
			for name := range r.Server.client.js.StreamNames(t.Context()).Name() {
				if err := r.Server.client.js.DeleteStream(t.Context(), name); err != nil {
					t.Fatal(err)
				}
			}
			lost = []string{bus.EventsStream}
			eventually(t, 20*time.Second, "what holds nothing of value is made again", func() bool {
				return strings.Count(r.log.String(), "it is made again") >= 4
			})
		} else {
			for _, name := range lost {
				r.lose(t, name)
			}
		}
		r.refusesToStart(t, lost[0])
		code, out, errOut := rindOn(t, cfg, "restore", file, "--dry-run")
		if code != 0 || !strings.Contains(out, "would be restored") || !strings.Contains(errOut, "nothing was changed") {
			t.Errorf("dry run without %v: %d %q %q", lost, code, out, errOut)
		}
		if again, _ := newServer(cfg); again.Start(t.Context()) == nil {
			stop(t, again)
			t.Fatalf("a dry run has brought %v back", lost)
		}
		if code, out, errOut = rindOn(t, cfg, "restore", file); code != 0 || !strings.Contains(errOut, "rind server") {
			t.Fatalf("restore of %v: %d %q %q", lost, code, out, errOut)
		}
		r = start(t, cfg)
		connects(t, p)
		r.pings(t)
		for name, n := range before {
			if got := r.values(t, name); got < n && slices.Contains(lost, name) {
				t.Errorf("%s has %d values, had %d", name, got, n)
			}
		}
		if ids := r.enrolled(t); len(ids) != 1 {
			t.Errorf("without %v the peels are %v", lost, ids)
		}
	}
	if problems := r.problems(t.Context()); len(problems) > 0 {
		t.Errorf("in the end: %q", problems)
	}
}

// values counts what a bucket holds.
func (r *running) values(t *testing.T, name string) uint64 {
	t.Helper()
	stream := "KV_" + name
	if name == bus.EventsStream {
		stream = name
	}
	s, err := r.Server.client.js.Stream(t.Context(), stream)
	if err != nil {
		t.Fatal(err)
	}
	return s.CachedInfo().State.Msgs
}

// On a new machine keys, buckets and database come out of one file.
func TestRestoreOnANewMachine(t *testing.T) {
	t.Parallel()
	cfg := stays(t)
	r := start(t, cfg)
	password, pin := r.FirstPassword(), r.Pin()
	p, _ := agent(t, r.enroll(t, "web-01"))
	file := r.backup(t, "--with-keys")
	without := r.backup(t)
	stop(t, r.Server)
	fresh := cfg
	fresh.DataDir = filepath.Join(dataDir(t), "new")
	for name, test := range map[string]struct {
		args []string
		says string
	}{
		"no keys":         {[]string{"restore", without, "--database"}, "bring back its keys first"},
		"keys from where": {[]string{"restore", without, "--keys"}, "made without --with-keys"},
	} {
		if code, out, errOut := rindOn(t, fresh, test.args...); code != 1 || !strings.Contains(errOut, test.says) {
			t.Errorf("%s: %d %q %q", name, code, out, errOut)
		}
	}
	if code, out, errOut := rindOn(t, fresh, "restore", file, "--keys", "--database", "--dry-run"); code != 0 || !strings.Contains(out, "would be restored") {
		t.Errorf("dry run: %d %q %q", code, out, errOut)
	}
	if _, err := os.Stat(fresh.DataDir); err == nil {
		t.Error("a dry run made the data folder")
	}
	if code, out, errOut := rindOn(t, fresh, "restore", file, "--keys", "--database"); code != 0 {
		t.Fatalf("%d %q %q", code, out, errOut)
	}
	if code, _, errOut := rindOn(t, fresh, "restore", file, "--keys"); code != 1 || !strings.Contains(errOut, "never replaced") {
		t.Errorf("keys over keys: %d %q", code, errOut)
	}
	second := start(t, fresh)
	if second.Pin() != pin || second.FirstPassword() != "" || !second.loginAs(t, "admin", password) {
		t.Error("it is another fleet, or lacks its people")
	}
	connects(t, p)
	second.pings(t)
	stop(t, second.Server)
	code, out, errOut := rindOn(t, fresh, "restore", file, "--database")
	if code != 0 || !strings.Contains(out, "left alone (--replace sql") {
		t.Errorf("%d %q %q", code, out, errOut)
	}
	if code, out, errOut := rindOn(t, fresh, "restore", file, "--replace", "sql"); code != 0 {
		t.Errorf("%d %q %q", code, out, errOut)
	}
	if kept, err := filepath.Glob(filepath.Join(fresh.DataDir, "rind.db.before-*")); err != nil || len(kept) == 0 {
		t.Errorf("the database that was there: %v %v", kept, err)
	}
	start(t, fresh).ready(t)
}

// What is no backup of this fleet, or not a whole one, changes nothing; nor does
// anything while the server runs.
func TestRestoreRefuses(t *testing.T) {
	t.Parallel()
	cfg := stays(t)
	r := start(t, cfg)
	file := r.backup(t)
	if code, _, errOut := rindOn(t, cfg, "restore", file); code != 1 || !strings.Contains(errOut, "a server runs") || !strings.Contains(errOut, "stop it") {
		t.Errorf("while it runs: %d %q", code, errOut)
	}
	r.lose(t, bus.Facts)
	stop(t, r.Server)
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	cut, foreign, hostile := filepath.Join(t.TempDir(), "cut"), filepath.Join(t.TempDir(), "foreign"), filepath.Join(t.TempDir(), "hostile")
	if err := os.WriteFile(cut, whole[:len(whole)-40], 0o600); err != nil {
		t.Fatal(err)
	}
	craft(t, foreign, "sha256:"+strings.Repeat("00", 32), "web-01")
	craft(t, hostile, r.Pin(), "web.>")
	for name, test := range map[string]struct {
		args []string
		says string
	}{
		"cut off":     {[]string{cut}, "nothing was changed"},
		"foreign":     {[]string{foreign}, "another fleet"},
		"hostile":     {[]string{hostile}, "which is none"},
		"not there":   {[]string{cut + "x"}, "no such file"},
		"no file":     {nil, "rind restore --empty BUCKET"},
		"a pipe":      {[]string{"-"}, "read twice"},
		"unknown":     {[]string{file, "--replace", "fcts"}, "choose among"},
		"nobody asks": {[]string{"--empty", "facts"}, "--yes"},
		"both":        {[]string{file, "--empty", "facts", "--yes", "--replace", "facts"}, "choose one"},
	} {
		code, out, errOut := rindOn(t, cfg, append([]string{"restore"}, test.args...)...)
		if code != 1 || !strings.Contains(errOut, test.says) {
			t.Errorf("%s: %d %q %q", name, code, out, errOut)
		}
	}
	again, _ := newServer(cfg)
	if err := again.Start(t.Context()); err == nil || !strings.Contains(err.Error(), bus.Facts) {
		stop(t, again)
		t.Fatalf("after them all: %v", err)
	}
	// Content can be given up.
	code, out, errOut := rindOn(t, cfg, "restore", "--empty", "facts,jobs", "--yes", "-o", "json")
	var got restoredOut
	if err := json.Unmarshal([]byte(out), &got); err != nil || code != 2 || len(got.Gone) != 0 {
		t.Errorf("empty: %d %q %q %v", code, out, errOut, err)
	}
	for _, row := range got.Results {
		if want := row.Name == bus.Jobs; row.Failed != want {
			t.Errorf("%+v", row)
		}
	}
	second := start(t, cfg)
	if n := second.values(t, bus.Facts); n != 0 {
		t.Errorf("%d facts out of nothing", n)
	}
}

// craft makes a backup by hand, with one fact.
func craft(t *testing.T, file, fleet, key string) {
	t.Helper()
	var b bytes.Buffer
	w, err := archive.NewWriter(&b, archive.Header{Fleet: fleet, Made: time.Now()})
	if err == nil {
		err = w.Begin(archive.KindBucket, bus.Facts)
	}
	if err == nil {
		err = w.Value(archive.Value{Key: key, Time: time.Now(), Data: []byte("{}")})
	}
	if err == nil {
		err = w.End(1, "", nil)
	}
	if err == nil {
		_, err = w.Close()
	}
	if err == nil {
		err = os.WriteFile(file, b.Bytes(), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// A bucket that is gone already is named, and the rest is saved; the keys leave
// through the socket only; each backup stands in the audit trail.
func TestBackupOfWhatIsLeft(t *testing.T) {
	t.Parallel()
	r := start(t, testConfig(dataDir(t)))
	r.lose(t, bus.Secrets)
	file := filepath.Join(t.TempDir(), "rind.backup")
	code, out, errOut := r.rind(t, "backup", file)
	if code != 2 || !strings.Contains(out, "NOT SAVED") || !strings.Contains(errOut, "secrets is not in the backup") {
		t.Errorf("%d %q %q", code, out, errOut)
	}
	if code, _, errOut := r.rind(t, "backup", file); code != 1 || !strings.Contains(errOut, "is there already") {
		t.Errorf("over a file: %d %q", code, errOut)
	}
	admin := r.token(t, access.Admin)
	if a := r.call(t, admin, http.MethodGet, "/backup?keys=true", nil, nil); a.status != http.StatusForbidden || !strings.Contains(a.body, "own socket") {
		t.Errorf("keys through HTTPS: %d %.200q", a.status, a.body)
	}
	a := r.call(t, admin, http.MethodGet, "/backup", nil, nil)
	if _, trailer, err := archive.Check(strings.NewReader(a.body)); err != nil || !trailer.Failed() || strings.Contains(a.body, "fleet-root") {
		t.Errorf("through HTTPS: %v", err)
	}
	var audit struct{ Entries []access.Entry }
	r.call(t, admin, http.MethodGet, "/audit?limit=1000", nil, &audit)
	good, refused := 0, 0
	for _, e := range audit.Entries {
		if e.Action == "backup.make" && e.OK && strings.Contains(e.Detail, "not whole: secrets") {
			good++
		} else if e.Action == "backup.make" && strings.Contains(e.Detail, "own socket") {
			refused++
		}
	}
	if good != 2 || refused != 1 {
		t.Errorf("%d and %d of them stand in the trail", good, refused)
	}
	if left, err := filepath.Glob(filepath.Join(r.cfg.DataDir, ".backup-*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
	stop(t, r.Server)
	code, out, errOut = rindOn(t, r.cfg, "restore", file)
	if code != 2 || !strings.Contains(errOut, "rind restore --empty secrets") {
		t.Errorf("of a bucket that no backup has: %d %q %q", code, out, errOut)
	}
}
