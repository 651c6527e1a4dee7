package archtest

import (
	"go/build"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestFuzzReachesEveryTarget: make fuzz goes through the packages of internal,
// on Linux, and runs each function there whose name begins with Fuzz. A target
// that stands elsewhere, or behind a build tag, would never run.
func TestFuzzReachesEveryTarget(t *testing.T) {
	t.Parallel()
	const root = "../.."
	text, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	_, recipe, _ := strings.Cut(string(text), "\nfuzz:")
	recipe, _, _ = strings.Cut(recipe, "\n\n")
	for _, part := range []string{"$(GO) list ./internal/...", "-list '^Fuzz'", `-fuzz "^$$f$$"`, "-fuzztime $(FUZZTIME)"} {
		if !strings.Contains(recipe, part) {
			t.Errorf("make fuzz has no %s any more: does it still reach every target?", part)
		}
	}
	for _, words := range []string{"FUZZTIME  ?= 5s", "$(MAKE) fuzz FUZZTIME=1m"} {
		if !strings.Contains(string(text), words) {
			t.Errorf("the Makefile has no %q any more: 5 s a target, and a minute at night", words)
		}
	}
	linux := build.Default
	linux.GOOS, linux.CgoEnabled, linux.BuildTags = "linux", false, nil
	target := regexp.MustCompile(`(?m)^func (Fuzz\w*)\(\w+ \*testing\.F\)`)
	found := 0
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			if d != nil && (d.Name() == "node_modules" || d.Name() == "testdata" || d.Name() == ".git") {
				return fs.SkipDir
			}
			return err
		}
		if filepath.Ext(path) != ".go" {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, m := range target.FindAllStringSubmatch(string(text), -1) {
			found++
			rel, _ := filepath.Rel(root, path)
			where := rel + ": " + m[1]
			if !strings.HasPrefix(rel, "internal"+string(filepath.Separator)) {
				t.Errorf("%s: make fuzz looks into internal only", where)
			}
			if !strings.HasSuffix(rel, "_test.go") {
				if !strings.Contains(rel, "parsetest") { // a helper of targets
					t.Errorf("%s: the file is no test", where)
				}
				found--
				continue
			}
			if ok, err := linux.MatchFile(filepath.Split(path)); err != nil || !ok {
				t.Errorf("%s: the file is not built on Linux without tags (%v)", where, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if found < 40 {
		t.Errorf("%d targets were found", found)
	}
}
