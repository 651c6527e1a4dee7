package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

type paths struct {
	Dir  string `yaml:"dir" path:"true"`
	Node struct {
		Token string `yaml:"token" path:"true"`
		Name  string `yaml:"name"`
	} `yaml:"node"`
}

// A daemon that changes its working directory, or is started from another one,
// still finds what its configuration names.
func TestPaths(t *testing.T) {
	t.Parallel()
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	const text = "dir: spool\nnode: {token: ../token, name: ../token}\n"
	file := write(t, text)
	beside := filepath.Dir(file)
	for name, test := range map[string]struct {
		src        Source
		dir, token string
	}{
		"from the file":        {Source{File: file}, filepath.Join(beside, "spool"), filepath.Join(beside, "../token")},
		"from the environment": {Source{File: file, Prefix: "RIND", Env: []string{"RIND_DIR=x/y"}}, filepath.Join(here, "x/y"), filepath.Join(beside, "../token")},
		"from a flag":          {Source{File: file, Flags: map[string]string{"node.token": "./t"}}, filepath.Join(beside, "spool"), filepath.Join(here, "t")},
		"absolute":             {Source{File: file, Flags: map[string]string{"dir": "/a//b/", "node.token": "/t"}}, "/a/b", "/t"},
		"none":                 {Source{File: file, Flags: map[string]string{"dir": "", "node.token": ""}}, "", ""},
		"the default stays":    {Source{}, "kept", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := paths{Dir: "kept"}
			if _, err := Load(&got, test.src); err != nil {
				t.Fatal(err)
			}
			if got.Dir != test.dir || got.Node.Token != test.token {
				t.Errorf("got %q and %q, want %q and %q", got.Dir, got.Node.Token, test.dir, test.token)
			}
			if got.Node.Name != "" && got.Node.Name != "../token" {
				t.Errorf("what is no path became %q", got.Node.Name)
			}
		})
	}
}

func TestPathIsText(t *testing.T) {
	t.Parallel()
	var bad struct {
		Dirs []string `yaml:"dirs" path:"true"`
	}
	if _, err := Load(&bad, Source{}); err == nil || !strings.Contains(err.Error(), `"dirs"`) {
		t.Errorf("got %v", err)
	}
}
