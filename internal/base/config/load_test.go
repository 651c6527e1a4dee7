package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rind-project/rind/internal/base/errs"
)

func write(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "rind.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestPrecedence(t *testing.T) {
	t.Parallel()
	file := write(t, "listen: file\nworkers: 1\nspool: 1MB\n")
	src := Source{
		File: file, Prefix: "RIND",
		Env:   []string{"RIND_LISTEN=env", "RIND_WORKERS=2", "OTHER_LISTEN=x", "RINDLISTEN=x"},
		Flags: map[string]string{"listen": "flag", "nats.routes": "a,b"},
	}
	d := defaults()
	origins, err := Load(d, src)
	if err != nil {
		t.Fatal(err)
	}
	want := defaults()
	want.Listen, want.Workers, want.Spool, want.NATS.Routes = "flag", 2, MB, []string{"a", "b"}
	if diff := cmp.Diff(want, d, cmp.AllowUnexported(daemon{})); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	for key, origin := range map[string]string{
		"listen": "flag --listen", "nats.routes": "flag --nats.routes", "workers": "environment RIND_WORKERS",
		"spool": "file " + file + ":3", "timeout": "default", "nats": "", "no.such": "",
	} {
		if got := origins.Of(key); got != origin {
			t.Errorf("origin of %s: got %q, want %q", key, got, origin)
		}
	}
}

// A mistake in the file is a mistake even where a flag wins over it.
func TestMistakeBelowFlag(t *testing.T) {
	t.Parallel()
	_, err := Load(defaults(), Source{File: write(t, "workers: many"), Flags: map[string]string{"workers": "3"}})
	if !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), `rind.yaml:1: the value of "workers" is wrong`) {
		t.Errorf("got %v", err)
	}
}

func TestSourceErrors(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tests := map[string]struct {
		src  Source
		want string
	}{
		"missing and required": {Source{File: filepath.Join(dir, "none.yaml"), FileRequired: true}, "none.yaml does not exist"},
		"a folder":             {Source{File: dir}, "is a directory"},
		"too large":            {Source{File: write(t, strings.Repeat("# …\n", maxFile/4))}, "more than 1048576 bytes"},
		"unknown flag":         {Source{Flags: map[string]string{"nats.lisen": "a"}}, `flag --nats.lisen: unknown key "nats.lisen"; did you mean "nats.listen"?`},
		"flag for a section":   {Source{Flags: map[string]string{"nats": "a"}}, `flag --nats: unknown key "nats"`},
		"malformed flag":       {Source{Flags: map[string]string{"timeout": "5"}}, `flag --timeout: the value of "timeout" is wrong ("5")`},
		"invalid by a flag":    {Source{Flags: map[string]string{"nats.listen": "a:80"}}, `flag --nats.listen: the value of "nats.listen": port 80`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Load(defaults(), test.src)
			if !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
	if _, err := Load(defaults(), Source{File: filepath.Join(dir, "none.yaml")}); err != nil {
		t.Errorf("a file that need not exist: %v", err)
	}
}

func TestSecretsStaySecret(t *testing.T) {
	t.Parallel()
	type secrets struct {
		Wait time.Duration   `yaml:"wait" secret:"true"`
		Each []time.Duration `yaml:"each" secret:"true"`
		Size Size            `yaml:"size" secret:"true"`
	}
	_, err := Load(&secrets{}, Source{
		File: write(t, "wait: hunter2\neach: [hunter2]\nsize: hunter2"), Prefix: "RIND",
		Env:   []string{"RIND_WAIT=hunter2", "RIND_EACH=1s,hunter2"},
		Flags: map[string]string{"wait": "hunter2"},
	})
	if err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("got %v", err)
	}
	if n := strings.Count(err.Error(), "is not valid"); n != 6 {
		t.Errorf("%d mistakes told of 6:\n%v", n, err)
	}
}

func TestSchemaErrors(t *testing.T) {
	t.Parallel()
	type itself struct {
		Again []struct{ M map[string]string } `yaml:"again"`
	}
	tests := map[string]struct {
		into any
		want string
	}{
		"no pointer":    {daemon{}, "pointer to a struct"},
		"nil":           {(*daemon)(nil), "pointer to a struct"},
		"nothing":       {nil, "pointer to a struct"},
		"a map":         {&struct{ M map[string]string }{}, `"m" has the type map[string]string`},
		"list of lists": {&struct{ L [][]string }{}, `"l" has the type [][]string`},
		"same name": {&struct {
			A, B string `yaml:"a"`
		}{}, `two fields are called "a"`},
		"same variable": {&struct {
			A string           `yaml:"a_b"`
			B struct{ B bool } `yaml:"a"`
		}{}, `RIND_A_B would set both "a_b" and "a.b"`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Load(test.into, Source{Prefix: "RIND"})
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
	if _, err := Load(&itself{}, Source{File: write(t, "again: [{m: {}}]")}); err == nil || !strings.Contains(err.Error(), "map[string]string") {
		t.Errorf("a map inside a list: %v", err)
	}
}

// Base is embedded in TestInline, which is why it is exported.
type Base struct {
	Name string `yaml:"name"`
}

func (b Base) Validate() error {
	if b.Name == "bad" {
		return Bad("name", "is bad")
	}
	return nil
}

// The keys of an inlined struct are the keys of the one around it, and its
// Validate, being promoted, is called once.
func TestInline(t *testing.T) {
	t.Parallel()
	type outer struct {
		Base  `yaml:",inline"`
		Other int
	}
	o := outer{}
	if _, err := Load(&o, Source{File: write(t, "name: x\nother: 3")}); err != nil || o.Name != "x" || o.Other != 3 {
		t.Errorf("got %+v, %v", o, err)
	}
	_, err := Load(&o, Source{File: write(t, "\nname: bad")})
	if err == nil || strings.Count(err.Error(), "is bad") != 1 || !strings.Contains(err.Error(), "rind.yaml:2: ") {
		t.Errorf("got %v", err)
	}
}

// nested joins what its parts found, as a struct does whose parts have checks of
// their own.
type nested struct {
	Name  string `yaml:"name"`
	Share int    `yaml:"share"`
}

func (n nested) Validate() error {
	return errors.Join(errors.Join(Bad("name", "is bad"), fmt.Errorf("after all: %w", Bad("share", "is too small"))), errors.New("no good"))
}

// Every mistake of a Validator is told with its place, also when it was joined
// or wrapped on the way.
func TestValidateJoins(t *testing.T) {
	t.Parallel()
	file := write(t, "name: x\nshare: 3")
	_, err := Load(&nested{}, Source{File: file})
	want := file + `:1: the value of "name": is bad` + "\n" + file + `:2: the value of "share": is too small` + "\nno good"
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}

func TestKeys(t *testing.T) {
	t.Parallel()
	d := defaults()
	d.Database.URL = "postgres://rind:hunter2@db/rind"
	want := map[string]KeyInfo{
		"listen":                 {Key: "listen", Type: "text", Default: "0.0.0.0:8443", Help: "address of the API"},
		"spool":                  {Key: "spool", Type: "size", Default: "64MiB"},
		"timeout":                {Key: "timeout", Type: "time", Default: "5m"},
		"strict":                 {Key: "strict", Type: "boolean"},
		"small":                  {Key: "small", Type: "number", Default: "0"},
		"database.url":           {Key: "database.url", Type: "text", Default: "postgres://rind:xxxxx@db/rind", Secret: true},
		"nats.leaf_node.remotes": {Key: "nats.leaf_node.remotes", Type: "list", Default: "[]"},
	}
	keys := Keys(*d)
	if diff := cmp.Diff(Keys(d), keys); diff != "" {
		t.Errorf("struct and pointer differ:\n%s", diff)
	}
	if len(keys) != 16 || keys[0].Key != "listen" {
		t.Errorf("got %d keys, the first %v", len(keys), keys[0])
	}
	for _, k := range keys {
		if w, ok := want[k.Key]; ok && k != w {
			t.Errorf("got %+v, want %+v", k, w)
		}
	}
}

// TestFlagName shows origins and mistakes under the names that flags have.
func TestFlagName(t *testing.T) {
	t.Parallel()
	var cfg struct {
		Listen string `yaml:"listen"`
		Name   string `yaml:"name"`
	}
	named := func(key string) string {
		if key == "listen" {
			return "--address"
		}
		return "--set " + key
	}
	o, err := Load(&cfg, Source{Flags: map[string]string{"listen": "a:1", "name": "b"}, FlagName: named})
	if err != nil {
		t.Fatal(err)
	}
	if o.Of("listen") != "flag --address" || o.Of("name") != "flag --set name" {
		t.Errorf("origins %q and %q", o.Of("listen"), o.Of("name"))
	}
	if _, err := Load(&cfg, Source{Flags: map[string]string{"nam": "b"}, FlagName: named}); err == nil || !strings.HasPrefix(err.Error(), `flag --set nam: unknown key "nam"`) {
		t.Errorf("a mistake: %v", err)
	}
}
