package databasetest

import (
	"bufio"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rind-project/rind/internal/base/database"
)

// TestChild starts the server and waits to be killed; TestKilled starts it.
func TestChild(t *testing.T) {
	if os.Getenv("RIND_TEST_CHILD") == "" {
		t.Skip("only in a child of TestKilled")
	}
	u, err := url.Parse(URL(t, database.PostgreSQL))
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("folder %s\n", u.Query().Get("host"))
	time.Sleep(time.Minute)
}

// TestKilled checks that the server and its folder do not outlive a test
// process that is killed.
func TestKilled(t *testing.T) {
	t.Parallel()
	URL(t, database.PostgreSQL) // skips where there is none
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestChild$")
	child.Env = append(os.Environ(), "RIND_TEST_CHILD=1")
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	dir := ""
	for lines := bufio.NewScanner(out); dir == "" && lines.Scan(); {
		dir, _ = strings.CutPrefix(lines.Text(), "folder ")
	}
	pid, err := os.ReadFile(filepath.Join(dir, "data", "postmaster.pid"))
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait() // it was killed
	server, _, _ := strings.Cut(string(pid), "\n")
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		_, folder := os.Stat(dir)
		_, process := os.Stat("/proc/" + server)
		if os.IsNotExist(folder) && os.IsNotExist(process) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("20 s after the kill: folder %v, process %v", folder, process)
		}
	}
}

func TestBinaries(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	install := func(folder string, mode os.FileMode, names ...string) {
		if err := os.MkdirAll(filepath.Join(dir, folder), 0o755); err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			if err := os.WriteFile(filepath.Join(dir, folder, name), nil, mode); err != nil {
				t.Fatal(err)
			}
		}
	}
	install("lib/9/bin", 0o755, "initdb", "postgres")
	install("lib/15/bin", 0o755, "initdb", "postgres")
	install("lib/17/bin", 0o755, "initdb") // half removed
	install("path", 0o755, "initdb", "postgres")
	install("plain", 0o644, "initdb", "postgres")
	for name, tc := range map[string]struct{ root, path, want string }{
		"the newest whole one": {"lib", "path", "lib/15/bin"},
		"in the path":          {"none", "plain:path", "path"},
		"nowhere":              {"none", "plain:lib:none", ""},
	} {
		root, path := filepath.Join(dir, tc.root), ""
		for _, p := range strings.Split(tc.path, ":") {
			path += filepath.Join(dir, p) + ":"
		}
		want := tc.want
		if want != "" {
			want = filepath.Join(dir, want)
		}
		if got := binaries(root, path); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}
