package cli_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rind-project/rind/internal/api/apitest"
	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/blob"
	"github.com/rind-project/rind/internal/fleet/blob/store"
)

// bytesOf are bytes that differ from place to place.
func bytesOf(n int) []byte {
	out := make([]byte, n)
	for i := range out {
		out[i] = byte(i ^ i>>8 ^ i>>16)
	}
	return out
}

func TestCopyToHosts(t *testing.T) {
	t.Parallel()
	s := apitest.Start(t, nil)
	var asked []fleet.JobRequest
	got := func(req fleet.JobRequest) *fleet.Return {
		asked = append(asked, req)
		return apitest.OK(map[string]any{"path": req.Args[1], "size_bytes": 5, "changed": true})
	}
	s.Fleet.Add(fleet.Peel{ID: "web-01"}, got)
	s.Fleet.Add(fleet.Peel{ID: "web-02"}, got)
	dir := t.TempDir()
	local := filepath.Join(dir, "app.tar")
	data := bytesOf(2*blob.Chunk + 77)
	if err := os.WriteFile(local, data, 0o600); err != nil {
		t.Fatal(err)
	}
	term := on(t, s)
	text := term.transcript(t,
		[]string{"cp", local, "web-*:/srv/", "--mode", "0640", "--user", "app"},
		[]string{"cp", local, "L@web-02:/srv/x.tar", "-o", "ndjson"},
		[]string{"cp", local, "nobody:/srv/x.tar"},
		[]string{"cp", local, "web-* and:/srv/x.tar"},
		[]string{"cp", filepath.Join(dir, "none"), "web-*:/srv/"},
		[]string{"cp", dir, "web-*:/srv/"},
		[]string{"cp", "web-*:/srv/x", "web-*:/srv/y"},
		[]string{"cp", local, filepath.Join(dir, "b")},
		[]string{"cp", "web-*:/", dir},
		[]string{"cp", "web-*:/srv/x", dir, "--mode", "0600"},
		[]string{"cp", local},
	)
	golden(t, "cp", strings.ReplaceAll(text, dir, "/tmp"))
	sum := blob.Sum(data)
	if got, ok := s.Files.Get(store.People, sum); !ok || !bytes.Equal(got, data) {
		t.Errorf("%d bytes are on the server, %v", len(got), ok)
	}
	if len(asked) != 3 || asked[0].Function != "cp.get" || !slices.Equal(asked[0].Args, []string{sum, "/srv/app.tar", "mode=0640", "user=app"}) || asked[2].Args[1] != "/srv/x.tar" {
		t.Errorf("%+v", asked)
	}
}

// TestCopyFromHosts: what hosts claim decides nothing about files here.
func TestCopyFromHosts(t *testing.T) {
	t.Parallel()
	s := apitest.Start(t, nil)
	data := bytesOf(blob.Chunk + 5)
	keep := func(id fleet.PeelID) apitest.Reply {
		return func(fleet.JobRequest) *fleet.Return {
			return apitest.OK(s.Files.Keep(store.OfPeel(id), "../../../etc/passwd", data))
		}
	}
	says := func(v any) apitest.Reply { return func(fleet.JobRequest) *fleet.Return { return apitest.OK(v) } }
	s.Fleet.Add(fleet.Peel{ID: "web-01"}, keep("web-01"))
	s.Fleet.Add(fleet.Peel{ID: "web-02"}, keep("web-02"))
	s.Fleet.Add(fleet.Peel{ID: "bad-01"}, says("nothing"))
	s.Fleet.Add(fleet.Peel{ID: "bad-02"}, says(blob.Pushed{SHA256: "../../x", Size: 3}))
	s.Fleet.Add(fleet.Peel{ID: "bad-03"}, says(blob.Pushed{SHA256: blob.Sum([]byte("x")), Size: 1 << 39}))
	dir := t.TempDir()
	term := on(t, s)
	code, stdout, stderr := term.run(t, "cp", "*:/var/log/app.log", filepath.Join(dir, "logs"))
	if code != 2 || !strings.Contains(stderr, "3 files could not be fetched") || !strings.Contains(stdout, "5 targeted, 5 answered, 0 failed, 0 missing") {
		t.Errorf("exit code %d\n%s%s", code, stdout, stderr)
	}
	for _, id := range []string{"web-01", "web-02"} {
		b, err := os.ReadFile(filepath.Join(dir, "logs", id, "app.log"))
		if err != nil || !bytes.Equal(b, data) {
			t.Errorf("%s: %d bytes %v", id, len(b), err)
		}
		if _, there := s.Files.Get(store.OfPeel(fleet.PeelID(id)), blob.Sum(data)); there {
			t.Errorf("%s: the server keeps it still", id)
		}
	}
	all, err := filepath.Glob(filepath.Join(dir, "logs", "web-*", "*"))
	if err != nil || len(all) != 2 {
		t.Errorf("%v %v", all, err)
	}
}

// An upload that is interrupted goes on where it was, and so does what comes.
func TestCopyGoesOn(t *testing.T) {
	t.Parallel()
	s := apitest.Start(t, nil)
	s.Fleet.Add(fleet.Peel{ID: "web-01"}, apitest.Always(apitest.OK(true)))
	dir := t.TempDir()
	local := filepath.Join(dir, "app.tar")
	data := bytesOf(3 * blob.Chunk)
	if err := os.WriteFile(local, data, 0o600); err != nil {
		t.Fatal(err)
	}
	sum := blob.Sum(data)
	if _, err := s.Files.Begin(t.Context(), store.People, blob.Begin{SHA256: sum, Size: int64(len(data))}, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Files.Put(t.Context(), store.People, sum, 0, data[:blob.Chunk]); err != nil {
		t.Fatal(err)
	}
	s.Files.Refuse = errs.New(errs.TooLarge, "the store is full")
	term := on(t, s)
	if code, _, stderr := term.run(t, "cp", local, "web-01:/srv/"); code != 1 || !strings.Contains(stderr, "the store is full; the same command goes on where it was") {
		t.Errorf("exit code %d: %s", code, stderr)
	}
	s.Files.Refuse = nil
	if code, _, stderr := term.run(t, "cp", local, "web-01:/srv/"); code != 0 {
		t.Errorf("exit code %d: %s", code, stderr)
	}
	if got, ok := s.Files.Get(store.People, sum); !ok || !bytes.Equal(got, data) {
		t.Errorf("%d bytes are on the server, %v", len(got), ok)
	}
}
