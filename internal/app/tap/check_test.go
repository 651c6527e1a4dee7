package tap

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// checkOutput runs the command and returns its exit code and what it wrote.
func checkOutput(t *testing.T, config string, args ...string) (int, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tap.yaml")
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, told bytes.Buffer
	code := Main(append([]string{"check", "--config", path, "--data", t.TempDir()}, args...), &out, &told)
	return code, out.String() + told.String()
}

const checkedConfig = `
interfaces:
  - lo
  - {name: nosuch0, filter: "vlan 7 and tcp port 443", workers: 2, cpus: [0, 1], ring_bytes: 16MiB, snaplen: 128, promiscuous: false}
node: {urls: ["https://192.0.2.1:8443"], token: rindtap_t1_x}
`

func TestCheckTable(t *testing.T) {
	t.Parallel()
	code, out := checkOutput(t, checkedConfig)
	if code != 1 {
		t.Errorf("exit code %d although an interface is missing", code)
	}
	lines := strings.Split(out, "\n")
	if len(lines) < 5 {
		t.Fatal(out)
	}
	column := strings.Index(lines[0], "FILTER")
	if column < 0 || !strings.HasPrefix(lines[1][column:], "all packets") || !strings.HasPrefix(lines[2][column:], "vlan 7 and tcp port 443") {
		t.Errorf("the columns do not stand below their names:\n%s", out)
	}
	for _, want := range []string{"ethernet", "65536", "64MiB", "2 on CPU 0 1", "32MiB", "memory: rings take 64MiB; available ", "missing: nosuch0: no such interface; there are: "} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in:\n%s", want, out)
		}
	}
	if strings.Contains(out, "no node") {
		t.Errorf("a node is configured:\n%s", out)
	}
}

func TestCheckJSON(t *testing.T) {
	t.Parallel()
	code, out := checkOutput(t, checkedConfig, "-o", "json")
	var got checked
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if code != 1 || got.OK || len(got.Interfaces) != 2 || len(got.Missing) == 0 || got.Memory.Available == 0 || len(got.Nodes) != 1 {
		t.Errorf("exit code %d, %s", code, out)
	}
	lo, none := got.Interfaces[0], got.Interfaces[1]
	if lo.Name != "lo" || lo.Link != "ethernet" || lo.RingBytes != 64<<20 || lo.Workers != 1 || !lo.Promiscuous || lo.State == "missing" {
		t.Errorf("%+v", lo)
	}
	if none.State != "missing" || none.RingBytes != 32<<20 || none.Workers != 2 || none.Snaplen != 128 || none.Promiscuous || none.Filter == "" || len(none.CPUs) != 2 {
		t.Errorf("%+v", none)
	}
}

func TestCheckRefuses(t *testing.T) {
	t.Parallel()
	if code, out := checkOutput(t, "interfaces: [{name: lo, filter: tcp prt 80}]"); code != 1 || !strings.Contains(out, "interfaces[0].filter") || !strings.Contains(out, "column 5") {
		t.Errorf("exit code %d, %s", code, out)
	}
	if code, out := checkOutput(t, "", "-o", "yaml"); code != 1 || !strings.Contains(out, "use table or json") {
		t.Errorf("exit code %d, %s", code, out)
	}
	// With a huge ring for each of many workers there is no room on any machine.
	if _, out := checkOutput(t, "interfaces: [{name: lo, workers: 64, ring_bytes: 4GiB}, {name: eth9, workers: 64, ring_bytes: 4GiB}]"); !strings.Contains(out, "missing: the rings take 256GiB and there is room for") {
		t.Errorf("%s", out)
	}
	code, out := checkOutput(t, "")
	if code != 1 || !strings.Contains(out, "missing: no interface is configured") || !strings.Contains(out, "missing: no node") || !strings.Contains(out, "lo ") {
		t.Errorf("exit code %d, %s", code, out)
	}
}

func TestSpeed(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]float64{"max": 0, "1": 1, "10": 10, "0.5": 0.5} {
		if got, err := parseSpeed(text); err != nil || got != want {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "fast", "0", "-1", "NaN", "Inf", "1e9"} {
		if got, err := parseSpeed(text); err == nil || !strings.Contains(err.Error(), "write max") {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
}
