package archtest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestBuildCarriesItsRevision asks make what it would build: with the revision
// in a checkout, and without one where git cannot tell it, since the go command
// would end with an error there.
func TestBuildCarriesItsRevision(t *testing.T) {
	t.Parallel()
	for _, tool := range []string{"make", "git"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("skipped: %s is not installed", tool)
		}
	}
	for name, test := range map[string]struct {
		prepare func(t *testing.T, dir string)
		want    string
	}{
		"a checkout":          {checkout, "-buildvcs=true"},
		"an unpacked archive": {func(*testing.T, string) {}, "-buildvcs=false"},
		"somebody else's checkout": {func(t *testing.T, dir string) {
			if os.Geteuid() != 0 {
				t.Skip("skipped: giving a folder to another user needs root")
			}
			checkout(t, dir)
			for _, path := range []string{dir, filepath.Join(dir, ".git")} {
				if err := os.Chown(path, 65534, 65534); err != nil {
					t.Fatal(err)
				}
			}
		}, "-buildvcs=false"},
		"a linked worktree": {func(t *testing.T, dir string) {
			if err := os.WriteFile(filepath.Join(dir, ".git"), []byte("gitdir: /nowhere\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}, "-buildvcs=false"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			text, err := os.ReadFile("../../Makefile")
			if err != nil {
				t.Fatal(err)
			}
			for file, content := range map[string]string{"Makefile": string(text), "package-lock.json": ""} {
				if err := os.WriteFile(filepath.Join(dir, file), []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			test.prepare(t, dir)
			if out := run(t, dir, "make", "-n", "build"); !strings.Contains(out, " "+test.want+" ") {
				t.Errorf("no %s in:\n%s", test.want, out)
			}
		})
	}
}

func checkout(t *testing.T, dir string) { run(t, dir, "git", "init", "-q") }

// run runs a program in a folder, with nobody's settings of git.
func run(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null", "MAKEFLAGS=", "SUDO_UID=")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
	return string(out)
}
