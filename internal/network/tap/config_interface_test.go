package tap

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rind-project/rind/internal/base/config"
)

// loadText reads a configuration from text.
func loadText(t *testing.T, text string, env ...string) (Config, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tap.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := DefaultConfig()
	_, err := config.Load(&cfg, config.Source{File: path, Prefix: "RIND_TAP", Env: env})
	return cfg, err
}

// TestInterfaces writes interfaces as names and with settings of their own.
func TestInterfaces(t *testing.T) {
	t.Parallel()
	cfg, err := loadText(t, `
interfaces:
  - eth0
  - {name: eth1, filter: "tcp port 443", workers: 2, cpus: [0, 1], ring_bytes: 16MiB, snaplen: 200, promiscuous: false}
capture: {ring_bytes: 32MiB, filter: "not port 22"}
`)
	if err != nil {
		t.Fatal(err)
	}
	if names := cfg.InterfaceNames(); !slices.Equal(names, []string{"eth0", "eth1"}) {
		t.Errorf("%v", names)
	}
	plain, own := cfg.Capture.Of(cfg.Interfaces[0]), cfg.Capture.Of(cfg.Interfaces[1])
	if plain.RingBytes != 32<<20 || plain.Filter != "not port 22" || plain.Workers != 1 || !plain.Promiscuous || plain.Snaplen != 0 {
		t.Errorf("eth0: %+v", plain)
	}
	if own.RingBytes != 16<<20 || own.Filter != "tcp port 443" || own.Workers != 2 || own.Promiscuous || own.Snaplen != 200 || !slices.Equal(own.CPUs, []int{0, 1}) {
		t.Errorf("eth1: %+v", own)
	}
	cfg, err = loadText(t, "", "RIND_TAP_INTERFACES=eth0,eth2")
	if names := cfg.InterfaceNames(); err != nil || !slices.Equal(names, []string{"eth0", "eth2"}) {
		t.Errorf("from the environment: %v, %v", names, err)
	}
}

func TestInterfacesRefused(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"interfaces: [eth0, eth0]":                    "interfaces[1]: the interface eth0 is configured twice",
		"interfaces: [{filter: tcp}]":                 "interfaces[0].name",
		"interfaces: [a/b]":                           "interfaces[0].name",
		"interfaces: [{name: a, filter: tcp prt 80}]": "interfaces[0].filter",
		"interfaces: [{name: a, workers: 0}]":         "interfaces[0].workers is 0",
		"interfaces: [{name: a, ring_bytes: 1MiB}]":   "interfaces[0].ring_bytes is 1MiB: choose between 8MiB",
		"interfaces: [{name: a, cpus: [-1]}]":         "interfaces[0].cpus holds -1",
		"interfaces: [{name: a, ring: 1MiB}]":         "unknown key",
		"capture: {workers: 65}":                      "capture.workers is 65",
		"capture: {ring_bytes: 7MiB}":                 "capture.ring_bytes is 7MiB",
		"capture: {filter: 'port 70000'}":             "capture.filter: filter \"port 70000\", column 6",
		"capture: {cpus: [5000]}":                     "capture.cpus holds 5000",
		"interfaces: [{name: a, snaplen: 999999}]":    "interfaces[0].snaplen",
	} {
		cfg, err := loadText(t, text)
		if err == nil {
			err = cfg.Validate()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want %q", text, err, want)
		}
	}
}
