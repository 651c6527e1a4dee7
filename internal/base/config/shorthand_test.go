package config_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rind-project/rind/internal/base/config"
)

type port struct {
	Name  string `yaml:"name"`
	Speed *int   `yaml:"speed"`
}

func (p *port) SetShorthand(text string) error {
	if text == "bad" {
		return errors.New("want a good one")
	}
	p.Name = text
	return nil
}

func (p *port) Shorthand() (string, bool) { return p.Name, p.Speed == nil }

type portConfig struct {
	Ports []port `yaml:"ports"`
}

// TestShorthand writes elements of a list as texts and as sections, and reads
// its own dump again.
func TestShorthand(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "c.yaml")
	load := func(text string) (portConfig, *config.Origins, error) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		var c portConfig
		o, err := config.Load(&c, config.Source{File: path})
		return c, o, err
	}
	c, origins, err := load("ports:\n  - a\n  - {name: b, speed: 5}\n")
	if err != nil {
		t.Fatal(err)
	}
	five := 5
	want := portConfig{Ports: []port{{Name: "a"}, {Name: "b", Speed: &five}}}
	if diff := cmp.Diff(want, c); diff != "" {
		t.Error(diff)
	}
	var dump bytes.Buffer
	if err := origins.Dump(&dump, "yaml"); err != nil {
		t.Fatal(err)
	}
	again, _, err := load(dump.String())
	if diff := cmp.Diff(want, again); err != nil || diff != "" {
		t.Errorf("%v, %s, from %s", err, diff, dump.String())
	}
	if _, _, err := load("ports: [a, bad]\n"); err == nil || !strings.Contains(err.Error(), `"ports[1]" is wrong ("bad"): want a good one`) {
		t.Errorf("%v", err)
	}
}
