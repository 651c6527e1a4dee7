package facts_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/facts"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestGolden(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"debian", "alpine", "container"} {
		got, err := facts.Collect(t.Context(), filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		if got.Arch != runtime.GOARCH {
			t.Errorf("arch %q", got.Arch)
		}
		got.Arch = "amd64"
		b, err := json.MarshalIndent(got, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join("testdata", name+".json")
		if *update {
			if err := os.WriteFile(file, append(b, '\n'), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(b)+"\n"); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestThisHost(t *testing.T) {
	t.Parallel()
	f, err := facts.Collect(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	host, err := os.Hostname()
	if err != nil || f.Hostname != host || f.Kernel == "" || f.CPU.Count < 1 || f.Mem.Total < 1<<20 || len(f.Interfaces) == 0 {
		t.Errorf("%+v, %v", f, err)
	}
	if d := time.Since(f.BootTime); d < 0 {
		t.Errorf("booted in the future: %s", f.BootTime)
	}
}

func TestNothingThere(t *testing.T) {
	t.Parallel()
	f, err := facts.Collect(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(fleet.Facts{Arch: runtime.GOARCH}, f); diff != "" {
		t.Errorf("from an empty root (-want +got):\n%s", diff)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := facts.Collect(ctx, t.TempDir()); err == nil {
		t.Error("a context that has ended was not noticed")
	}
}

func write(t *testing.T, root, file, content string) {
	t.Helper()
	path := filepath.Join(root, file)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestHostileContentIsBounded(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	write(t, root, "proc/sys/kernel/hostname", strings.Repeat("ä\x01\xff", 1<<20))
	write(t, root, "etc/os-release", "ID="+strings.Repeat("x", 5<<20))
	var mounts strings.Builder
	for n := range 3000 {
		fmt.Fprintf(&mounts, "1 1 8:%d / /%s%d rw - ext4 /dev/sd%d rw\n", n, strings.Repeat("m", 300), n, n)
	}
	write(t, root, "proc/self/mountinfo", mounts.String())
	for n := range 600 {
		write(t, root, fmt.Sprintf("sys/class/net/veth%d/mtu", n), "1500")
	}
	var inet6 strings.Builder
	for n := range 2000 {
		fmt.Fprintf(&inet6, "20010db8000000000000000000%06x 02 40 00 80 veth0\n", n)
	}
	write(t, root, "proc/net/if_inet6", inet6.String())
	f, err := facts.Collect(t.Context(), root)
	if err != nil {
		t.Fatal(err)
	}
	if len(f.Hostname) > facts.MaxString || len(f.OS) > facts.MaxString || !utf8.ValidString(f.Hostname) || strings.Contains(f.Hostname, "\x01") {
		t.Errorf("host name of %d bytes, os of %d", len(f.Hostname), len(f.OS))
	}
	if len(f.Mounts) != facts.MaxList || len(f.Interfaces) != facts.MaxList || len(f.Interfaces[0].Addresses) != facts.MaxList {
		t.Errorf("%d mounts, %d interfaces, %d addresses", len(f.Mounts), len(f.Interfaces), len(f.Interfaces[0].Addresses))
	}
	b, err := facts.Encode(f)
	if err != nil || len(b) > facts.MaxEncoded {
		t.Errorf("encoded to %d bytes, %v", len(b), err)
	}
	if len(f.Interfaces[0].Addresses) != facts.MaxList {
		t.Error("encoding has changed the facts themselves")
	}
}

func TestLookupAgreesWithJSON(t *testing.T) {
	t.Parallel()
	f, err := facts.Collect(t.Context(), "testdata/debian")
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	var tree any
	if err := json.Unmarshal(raw, &tree); err != nil {
		t.Fatal(err)
	}
	keys := facts.Keys(f)
	if len(keys) < 40 {
		t.Fatalf("only %d keys", len(keys))
	}
	for _, key := range append(keys, "interfaces", "interfaces.1", "mem", "disks.0") {
		got, ok := facts.Lookup(f, key)
		b, err := json.Marshal(got)
		if err != nil || !ok {
			t.Errorf("%s: %v, %v", key, ok, err)
			continue
		}
		var plain any
		if err := json.Unmarshal(b, &plain); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(walk(tree, key), plain); diff != "" {
			t.Errorf("%s (-json +lookup):\n%s", key, diff)
		}
	}
	for _, key := range []string{"", ".", "os.", "OS", "Mem", "mem.", "mem.Total", "interfaces.3", "interfaces.-1", "interfaces.x", "os.0", "boot_time.wall", "virtual.x", "init.0"} {
		if v, ok := facts.Lookup(f, key); ok {
			t.Errorf("%q is found: %v", key, v)
		}
	}
	if _, ok := facts.Lookup(fleet.Facts{}, "fqdn"); ok {
		t.Error("a field that the JSON form leaves out is found")
	}
}

func walk(v any, key string) any {
	for k := range strings.SplitSeq(key, ".") {
		switch node := v.(type) {
		case map[string]any:
			v = node[k]
		case []any:
			var n int
			if _, err := fmt.Sscan(k, &n); err != nil || n >= len(node) {
				return nil
			}
			v = node[n]
		}
	}
	return v
}

func TestHashLeavesOutTheWanderingClock(t *testing.T) {
	t.Parallel()
	boot := time.Unix(1763700000, 0)
	hash := func(f fleet.Facts) [32]byte {
		h, err := facts.Hash(f, boot)
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	base := hash(fleet.Facts{OS: "Debian", BootTime: boot})
	if hash(fleet.Facts{OS: "Debian", BootTime: boot.Add(time.Second)}) != base {
		t.Error("a second's wander is a change")
	}
	if hash(fleet.Facts{OS: "Debian", BootTime: boot.Add(time.Hour)}) == base {
		t.Error("a reboot is no change")
	}
	if hash(fleet.Facts{OS: "Ubuntu", BootTime: boot}) == base {
		t.Error("another system is no change")
	}
}

func FuzzParsers(f *testing.F) {
	for _, file := range []string{"proc/self/mountinfo", "proc/net/if_inet6", "proc/net/route", "proc/net/fib_trie", "etc/os-release", "proc/cpuinfo"} {
		b, err := os.ReadFile(filepath.Join("testdata/debian", file))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		root := t.TempDir()
		for _, file := range []string{"proc/self/mountinfo", "proc/net/if_inet6", "proc/net/route", "proc/net/fib_trie", "etc/os-release",
			"proc/cpuinfo", "proc/meminfo", "proc/stat", "etc/hosts", "proc/sys/kernel/hostname", "proc/1/environ"} {
			write(t, root, file, string(b))
		}
		got, err := facts.Collect(t.Context(), root)
		if err != nil {
			t.Fatal(err)
		}
		if out, err := facts.Encode(got); err != nil || !json.Valid(out) {
			t.Errorf("%v: %s", err, out)
		}
	})
}

func BenchmarkLookup(b *testing.B) {
	f, err := facts.Collect(b.Context(), "testdata/debian")
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		facts.Lookup(f, "interfaces.0.mac")
	}
}
