package version

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
)

func TestFrom(t *testing.T) {
	t.Parallel()
	vcs := func(revision, modified string) []debug.BuildSetting {
		return []debug.BuildSetting{{Key: "vcs.revision", Value: revision}, {Key: "vcs.modified", Value: modified}}
	}
	build := func(version string, settings []debug.BuildSetting) *debug.BuildInfo {
		return &debug.BuildInfo{GoVersion: "go1.99", Main: debug.Module{Version: version}, Settings: settings}
	}
	tests := map[string]struct {
		build   *debug.BuildInfo
		release string
		want    Info
		text    string
	}{
		"nothing known":  {nil, "", Info{Unknown, "", runtime.Version()}, "devel (" + runtime.Version() + ")"},
		"without VCS":    {build("(devel)", nil), "", Info{Unknown, "", "go1.99"}, "devel (go1.99)"},
		"a module":       {build("v1.2.3", nil), "", Info{"v1.2.3", "", "go1.99"}, "v1.2.3 (go1.99)"},
		"clean":          {build("v1.2.3", vcs("0123456789abcdef", "false")), "", Info{"v1.2.3", "0123456789ab", "go1.99"}, "v1.2.3 (commit 0123456789ab, go1.99)"},
		"with changes":   {build("", vcs("0123456789abcdef", "true")), "", Info{Unknown, "0123456789ab+changes", "go1.99"}, "devel (commit 0123456789ab+changes, go1.99)"},
		"short revision": {build("", vcs("12ab", "false")), "", Info{Unknown, "12ab", "go1.99"}, "devel (commit 12ab, go1.99)"},
		"changes only":   {build("", vcs("", "true")), "", Info{Unknown, "", "go1.99"}, "devel (go1.99)"},
		"a release":      {build("v0.0.0-2026", nil), "v2.0.0", Info{"v2.0.0", "", "go1.99"}, "v2.0.0 (go1.99)"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := from(test.build, test.release)
			if got != test.want || got.String() != test.text {
				t.Errorf("got %+v (%s), want %+v (%s)", got, got, test.want, test.text)
			}
		})
	}
}

// A real program, built with and without what this package reads.
func TestBuilt(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp(".", "_build-") // inside the module, where internal packages can be imported
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	source := "package main\nimport \"github.com/rind-project/rind/internal/base/version\"\nfunc main() { print(version.Get().String()) }\n"
	file := filepath.Join(dir, "main.go")
	if err := os.WriteFile(file, []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	for flags, want := range map[string]string{
		"": Unknown + " (",
		"-X github.com/rind-project/rind/internal/base/version.release=v9.8.7": "v9.8.7 (",
	} {
		program := filepath.Join(dir, "program")
		build := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-ldflags", flags, "-o", program, "./"+file)
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		out, err := exec.CommandContext(t.Context(), "./"+program).CombinedOutput()
		if err != nil || !strings.HasPrefix(string(out), want) || !strings.Contains(string(out), runtime.Version()) {
			t.Errorf("%q: got %q, %v, want %q", flags, out, err, want)
		}
	}
}
