package pkg

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet/job/function/local"
	"github.com/rind-project/rind/internal/fleet/job/function/localtest"
)

// repo is where the repository of a test lies, on a host of its own.
const repo = "/srv/repo"

// A repository is of the real program's kind. Its packages have a file each.
type repository struct {
	release   string                                        // what stands behind a version, such as "-1"
	publish   func(t *testing.T, name, version, run string) // adds a package that runs a script when it is installed
	older     bool                                          // it keeps older versions, which can be asked for
	unknown   string                                        // the program's words for what there is not
	busy      string                                        // and when another one works
	unreached string                                        // and when a repository is gone
}

// real holds the functions to what the real program does on this host.
func (r repository) real(t *testing.T) {
	for _, name := range []string{"rind-base", "rind-probe"} {
		r.publish(t, name, "1.0", "")
	}
	r.install(t)
	r.dryRuns(t)
	r.upgrade(t)
	r.versions(t)
	r.remove(t)
	r.waits(t)
	r.refuses(t)
	r.gone(t)
}

func (r repository) install(t *testing.T) {
	value(t, "pkg.refresh", true)
	value(t, "pkg.version", map[string]string{"rind-probe": "", "rind-absent": ""}, "rind-probe", "rind-absent")
	for _, name := range []string{"rind-base", "rind-probe"} {
		value(t, "pkg.install", Changed{Changed: true, Packages: []Upgrade{{name, "", "1.0" + r.release}}}, name)
		value(t, "pkg.install", Changed{Packages: []Upgrade{}}, name)
	}
	value(t, "pkg.version", map[string]string{"rind-probe": "1.0" + r.release, "rind-absent": ""}, "rind-probe", "rind-absent")
	list := call(t, "pkg.list", "match=rind-*").([]Package)
	if len(list) != 2 || list[0].Name != "rind-base" || list[1].Name != "rind-probe" || list[1].Version != "1.0"+r.release {
		t.Errorf("the list is %+v", list)
	}
	value(t, "pkg.list_upgrades", []Upgrade{})
}

// dryRuns show what would be done, and do none of it.
func (r repository) dryRuns(t *testing.T) {
	r.publish(t, "rind-probe", "2.0", "")
	r.publish(t, "rind-new", "1.0", "")
	call(t, "pkg.refresh")
	for _, args := range [][]string{{"pkg.install", "rind-new"}, {"pkg.upgrade", "rind-probe"}, {"pkg.upgrade"}, {"pkg.remove", "rind-probe"}} {
		got := call(t, args[0], append(args[1:], "test=true")...).(Changed)
		if want := append(args, "rind-probe")[1]; !got.Test || got.Changed || !strings.Contains(got.Output, want) {
			t.Errorf("%q would do %+v", args, got)
		}
	}
	fails(t, r.unknown, "pkg.install", "rind-absent", "test=true")
	value(t, "pkg.version", map[string]string{"rind-probe": "1.0" + r.release, "rind-new": ""}, "rind-probe", "rind-new")
}

func (r repository) upgrade(t *testing.T) {
	one, two := "1.0"+r.release, "2.0"+r.release
	value(t, "pkg.list_upgrades", []Upgrade{{"rind-probe", one, two}})
	value(t, "pkg.upgrade", Changed{Changed: true, Packages: []Upgrade{{"rind-probe", one, two}}}, "rind-probe", "rind-new")
	value(t, "pkg.upgrade", Changed{Packages: []Upgrade{}}, "rind-probe")
	value(t, "pkg.upgrade", Changed{Packages: []Upgrade{}})
	value(t, "pkg.list_upgrades", []Upgrade{})
	r.publish(t, "rind-base", "2.0", "")
	value(t, "pkg.upgrade", Changed{Changed: true, Packages: []Upgrade{{"rind-base", one, two}}}, "refresh=true")
}

// versions are asked for by name, older ones too where they are kept.
func (r repository) versions(t *testing.T) {
	one, two := "1.0"+r.release, "2.0"+r.release
	value(t, "pkg.install", Changed{Packages: []Upgrade{}}, "rind-probe="+two)
	fails(t, r.unknown, "pkg.install", "rind-probe=9.9"+r.release)
	if !r.older {
		fails(t, r.unknown, "pkg.install", "rind-probe="+one)
		return
	}
	value(t, "pkg.install", Changed{Changed: true, Packages: []Upgrade{{"rind-probe", two, one}}}, "rind-probe="+one)
	value(t, "pkg.install", Changed{Packages: []Upgrade{}}, "rind-probe="+one)
	value(t, "pkg.install", Changed{Changed: true, Packages: []Upgrade{{"rind-probe", one, two}}}, "rind-probe="+two)
}

func (r repository) remove(t *testing.T) {
	value(t, "pkg.remove", Changed{Changed: true, Packages: []Upgrade{{"rind-probe", "2.0" + r.release, ""}}}, "rind-probe", "rind-absent")
	value(t, "pkg.remove", Changed{Packages: []Upgrade{}, Comment: "none of them is installed"}, "rind-probe", "rind-absent")
	if _, err := os.Stat("/usr/share/rind-probe"); err == nil {
		t.Error("its file is there still")
	}
}

// waits has another one at work, which installs a package that takes its time.
func (r repository) waits(t *testing.T) {
	dir := t.TempDir()
	at, end := filepath.Join(dir, "at"), filepath.Join(dir, "end")
	r.publish(t, "rind-slow", "1.0", fmt.Sprintf("touch %s; while [ ! -e %s ]; do sleep 0.1; done", at, end))
	call(t, "pkg.refresh")
	slow := make(chan error, 1)
	go func() {
		_, err := localtest.Do(t, Runs(local.Host()), nil, "pkg.install", "rind-slow")
		slow <- err
	}()
	until(t, at)
	m, err := find(local.Host())
	if err != nil {
		t.Fatal(err)
	}
	m.patience = 0
	if _, err = m.do(t.Context(), m.install, []string{"rind-new"}); !errs.Is(err, errs.Unavailable) || !strings.Contains(err.Error(), r.busy) {
		t.Errorf("while another one works: %v", err)
	}
	value(t, "pkg.version", map[string]string{"rind-new": ""}, "rind-new")
	time.AfterFunc(time.Second, func() { _ = os.WriteFile(end, nil, 0o644) }) // without it nothing goes on
	got := call(t, "pkg.install", "rind-new").(Changed)
	if !got.Changed || !strings.Contains(fmt.Sprint(got.Packages), "{rind-new  1.0"+r.release+"}") {
		t.Errorf("after it waited: %+v", got)
	}
	if err := <-slow; err != nil {
		t.Error(err)
	}
}

func (r repository) refuses(t *testing.T) {
	fails(t, r.unknown, "pkg.install", "rind-absent")
	fails(t, r.unknown, "pkg.install", "rind-probe", "rind-absent")
	value(t, "pkg.version", map[string]string{"rind-probe": ""}, "rind-probe")
	value(t, "pkg.upgrade", Changed{Packages: []Upgrade{}, Comment: "none of them is installed"}, "rind-absent")
}

// gone has a repository that was there.
func (r repository) gone(t *testing.T) {
	r.publish(t, "rind-late", "1.0", "")
	call(t, "pkg.refresh")
	if err := os.Rename(repo, repo+".away"); err != nil {
		t.Fatal(err)
	}
	fails(t, r.unreached, "pkg.refresh")
	fails(t, r.unreached, "pkg.install", "rind-probe", "refresh=true")
	fails(t, "", "pkg.install", "rind-late")
	value(t, "pkg.version", map[string]string{"rind-late": "", "rind-probe": ""}, "rind-late", "rind-probe")
}

func call(t *testing.T, name string, args ...string) any {
	t.Helper()
	res, err := localtest.Do(t, Runs(local.Host()), nil, name, args...)
	if err != nil {
		t.Fatalf("%s %q: %v", name, args, err)
	}
	return res.Value
}

func value(t *testing.T, name string, want any, args ...string) {
	t.Helper()
	if diff := cmp.Diff(want, call(t, name, args...)); diff != "" {
		t.Errorf("%s %q (-want +got):\n%s", name, args, diff)
	}
}

func fails(t *testing.T, want, name string, args ...string) {
	t.Helper()
	res, err := localtest.Do(t, Runs(local.Host()), nil, name, args...)
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%s %q gave %+v and %v, not %q", name, args, res.Value, err, want)
	}
}

// until waits for a file.
func until(t *testing.T, path string) {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		if _, err := os.Stat(path); err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%s does not come", path)
		}
	}
}

// sh runs a script that builds what a test needs.
func sh(t *testing.T, script string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "/bin/sh", append([]string{"-ec", script, "sh"}, args...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s %q: %v\n%s", script, args, err, out)
	}
}
