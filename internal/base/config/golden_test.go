package config

import (
	"bytes"
	"errors"
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the expected files anew")

// daemon is a configuration with every kind of value.
type daemon struct {
	Listen   string         `yaml:"listen" help:"address of the API"`
	Verbose  bool           `yaml:"verbose"`
	Workers  int            `yaml:"workers"`
	Small    int8           `yaml:"small"`
	Share    float64        `yaml:"share"`
	Port     uint16         `yaml:"port"`
	Timeout  time.Duration  `yaml:"timeout"`
	Spool    Size           `yaml:"spool"`
	Strict   *bool          `yaml:"strict"`
	Proxies  []netip.Prefix `yaml:"proxies"`
	Database struct {
		URL      string `yaml:"url" secret:"url"`
		Password string `yaml:"password" secret:"true"`
	} `yaml:"database"`
	NATS     natsSection `yaml:"nats"`
	unlisted string
	Derived  string `yaml:"-"`
}

type natsSection struct {
	Listen   string `yaml:"listen"`
	LeafNode struct {
		Listen  string   `yaml:"listen"`
		Remotes []remote `yaml:"remotes"`
	} `yaml:"leaf_node"`
	Routes []string `yaml:"routes"`
}

type remote struct {
	URL         string        `yaml:"url"`
	Credentials string        `yaml:"credentials" secret:"true"`
	Wait        time.Duration `yaml:"wait"`
}

func (n *natsSection) Validate() error {
	var all []error
	if strings.HasSuffix(n.Listen, ":80") {
		all = append(all, Bad("listen", "port 80 is the web's"))
	}
	if n.LeafNode.Listen != "" && n.LeafNode.Listen == n.Listen {
		all = append(all, Bad("leaf_node.listen", "is the same as nats.listen"))
	}
	if len(n.Routes) > 3 {
		all = append(all, errors.New("at most three routes"))
	}
	return errors.Join(all...)
}

func defaults() *daemon {
	d := &daemon{unlisted: "untouched", Listen: "0.0.0.0:8443", Workers: 4, Share: 0.75, Timeout: 5 * time.Minute, Spool: 64 * MiB}
	d.NATS.Listen = "0.0.0.0:4222"
	d.NATS.Routes = []string{"default:1"}
	return d
}

// TestGolden loads testdata/*/in.yaml, with the environment of testdata/*/env
// when there is one. Expected are the dump as a table, or the error.
func TestGolden(t *testing.T) {
	t.Parallel()
	inputs, err := filepath.Glob("testdata/*/in.yaml")
	if err != nil || len(inputs) < 20 {
		t.Fatalf("found %d cases: %v", len(inputs), err)
	}
	for _, in := range inputs {
		dir := filepath.Dir(in)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			t.Parallel()
			got := loadCase(t, dir)
			expected := filepath.Join(dir, "expected")
			if *update {
				if err := os.WriteFile(expected, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(expected)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func loadCase(t *testing.T, dir string) string {
	t.Helper()
	src := Source{File: filepath.Join(dir, "in.yaml"), FileRequired: true, Prefix: "RIND", IgnoreEnv: []string{"RIND_CONFIG", "RIND_PEEL_*"}}
	if env, err := os.ReadFile(filepath.Join(dir, "env")); err == nil {
		src.Env = strings.Split(strings.TrimSpace(string(env)), "\n")
	}
	origins, err := Load(defaults(), src)
	if err != nil {
		return strings.ReplaceAll(err.Error(), dir+"/", "") + "\n"
	}
	var out bytes.Buffer
	if err := origins.Dump(&out, "table"); err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(out.String(), dir+"/", "")
}
