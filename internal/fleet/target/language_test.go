package target_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/facts"
	"github.com/rind-project/rind/internal/fleet/target"
)

func parse(t *testing.T, text string) *target.Expr {
	t.Helper()
	e, err := target.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// host has a value under every key.
func host() *fleet.Facts {
	return &fleet.Facts{
		ID: "web-01", Hostname: "web-01", FQDN: "web-01.example.org", MachineID: "ABCDEF", OS: "Debian", OSFamily: "debian", OSVersion: "12",
		OSCodename: "bookworm", OSPretty: "Debian GNU/Linux 12 (bookworm)", KernelName: "Linux", Kernel: "6.1.0-28-amd64", Arch: "amd64",
		CPU: fleet.CPU{Model: "AMD EPYC", Count: 4}, Mem: fleet.Mem{Total: 8 << 30, Swap: 1}, Virtual: "kvm", PkgManager: "apt", Init: "systemd",
		Disks:  []fleet.Disk{{Name: "sda", Size: 500e9, Model: "SSD"}, {Name: "sdb", Size: 2e12, Model: "HDD", Rotational: true}},
		Mounts: []fleet.Mount{{Device: "/dev/sda1", Path: "/", FSType: "ext4", Size: 100e9}},
		Interfaces: []fleet.Interface{
			{Name: "lo", MAC: "00:00:00:00:00:00", MTU: 65536, Up: true, Addresses: []string{"127.0.0.1/8", "::1/128"}},
			{Name: "eth0", MAC: "02:00:00:00:00:01", MTU: 1500, Addresses: []string{"10.2.0.7/24", "2001:db8::7/64"}},
		},
		BootTime: time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC), Peel: fleet.PeelVersion{Version: "1.0.0"},
	}
}

// TestEveryFactCanBeAskedFor holds the values that targets see against those of
// package facts, which finds them by reflection.
func TestEveryFactCanBeAskedFor(t *testing.T) {
	t.Parallel()
	f := host()
	keys := facts.Keys(*f)
	if len(keys) < 45 {
		t.Fatalf("only %d keys", len(keys))
	}
	for _, key := range keys {
		if !parse(t, "G@"+key+":*").Match(f.ID, f) {
			t.Errorf("%s is not there", key)
		}
		empty := &fleet.Facts{}
		if _, want := facts.Lookup(*empty, key); parse(t, "G@"+key+":*").Match(f.ID, empty) != want {
			t.Errorf("%s of a host without facts: %v", key, !want)
		}
	}
}

func TestFacts(t *testing.T) {
	t.Parallel()
	f := host()
	for text, want := range map[string]bool{
		"G@os:Debian": true, "G@os:debian": true, "G@os:Deb*": true, "G@os:Alpine": false, "G@os!=Alpine": true, "G@os!=Debian": false,
		"G@nothing:*": false, "G@nothing!=x": false, "not G@nothing:*": true, "G@mem:*": false,
		"G@mem.total:8GiB": true, "G@mem.total>8GB": true, "G@mem.total>8GiB": false, "G@mem.total>=8GiB": true, "G@mem.total<8.5GiB": true,
		"G@mem.total>x": false, "G@mem.swap>0.5": true, "G@mem.swap>=1.5": false, "G@mem.swap<1.5": true, "G@mem.swap<=1": true,
		"G@cpu.count:4": true, "G@cpu.count:4*": true, "G@cpu.count!=4": false, "G@cpu.count>3": true,
		"G@os_version>9": true, "G@os_version>=12": true, "G@os_version<12.1": true, "G@kernel>=6.1": true, "G@kernel<6.1": false, "G@kernel<6.12": true,
		"G@boot_time>2026-02-03": true, "G@boot_time<2026-02-03T04:05:07Z": true, "G@boot_time:2026-02-*": true, "G@boot_time>yesterday": false,
		"G@disks.name:sdb": true, "G@disks.0.name:sdb": false, "G@disks.1.name:sdb": true, "G@disks.name!=sdb": false, "G@disks.size>1TB": true,
		"G@disks.rotational:true": true, "G@disks.0.rotational:true": false, "G@interfaces.1.addresses.0:10.*": true, "G@interfaces.addresses.1:2001*": true,
		`G@os_pretty:"debian gnu/linux*"`: true, `'G@os_pretty:Debian GNU/Linux 12 (bookworm)'`: true, `G@os_pretty:*(bookworm)`: true,
		`P@kernel:^6\.`: true, `P@kernel:^5\.`: false, "P@disks.name:^sd[b-z]$": true, "P@os:debian": false, "P@os:(?i)debian": true, "P@mem.total:^85899": true,
		"S@10.0.0.0/8": true, "S@10.2.0.7": true, "S@10.3.0.0/16": false, "S@2001:db8::/32": true, "S@::ffff:10.2.0.0/112": true, "S@::/0": true,
		"E@^web": true, "E@b-0": true, "E@^(db|cache)": false, "L@a,web-01": true, "L@a": false,
		"web* and (G@os:Alpine or not S@192.168.0.0/16)": true, "not not web*": true, "db* or web* and not web*": false, "not db* and not x": true,
	} {
		if got := parse(t, text).Match(f.ID, f); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}

// TestUnknown: what is not known makes neither a term nor its opposite true.
func TestUnknown(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"G@os:Debian": false, "not G@os:Debian": false, "not S@10.0.0.0/8": false, "I@role:web": false, "not I@role:web": false, "not N@old": false,
		"web* or G@os:Debian": true, "not (G@os:Debian and db*)": true, "not (G@os:Debian or db*)": false, "not not G@os:Debian": false,
	} {
		if got := parse(t, text).Match("web-01", nil); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}

func TestGroups(t *testing.T) {
	t.Parallel()
	known := map[string]string{"web": "web* and not N@old", "old": "G@os_version<10", "a": "N@b", "b": "x or N@a", "self": "N@self", "bad": "web and", "i": "I@a:b"}
	x := target.NewIndex(target.WithGroups(func(name string) (string, bool) { text, ok := known[name]; return text, ok }))
	x.Put("web-01", host())
	if got := x.Select(parse(t, "N@web"), "", 0); !slices.Equal(got, []fleet.PeelID{"web-01"}) {
		t.Errorf("N@web is %v", got)
	}
	for text, want := range map[string]struct {
		kind   errs.Kind
		column int
		has    string
	}{
		"db* or N@a": {errs.Invalid, 8, "a → b → a"}, "N@self": {errs.Invalid, 1, "self → self"}, "not N@bad": {errs.Invalid, 5, "the group bad cannot be read: column 8"},
		"N@none": {errs.NotFound, 1, `no named group "none"`}, "x and N@i": {errs.Unavailable, 7, "settings"}, "x and I@a:b": {errs.Unavailable, 7, "settings are not kept here"},
	} {
		_, _, err := x.Query(t.Context(), parse(t, text), "", 0)
		se, ok := errors.AsType[*target.SyntaxError](err)
		if !ok || !errs.Is(err, want.kind) || se.Column != want.column || !strings.Contains(se.Msg, want.has) {
			t.Errorf("%s: %v", text, err)
		}
	}
	if _, _, err := target.NewIndex().Query(t.Context(), parse(t, "N@web"), "", 0); !errs.Is(err, errs.Unavailable) {
		t.Errorf("without groups: %v", err)
	}
}

func TestQuote(t *testing.T) {
	t.Parallel()
	for _, value := range []string{"os:Debian", "a b", `it's "so"`, `(a|b)\d`, `\`, `a\ b`, "and", "x)"} {
		f := &fleet.Facts{OSPretty: value}
		pattern := strings.NewReplacer(`\`, `\\`).Replace("os_pretty:" + value)
		if !parse(t, target.Of('G', pattern)+" and *").Match("web", f) {
			t.Errorf("%s does not mean %q", target.Of('G', pattern), value)
		}
	}
}

func TestCaret(t *testing.T) {
	t.Parallel()
	_, err := target.Parse("wéb* and é]")
	se, ok := errors.AsType[*target.SyntaxError](err)
	if !ok || se.Caret() != "wéb* and é]\n ^" {
		t.Errorf("%v", err)
	}
	long := &target.SyntaxError{Expr: strings.Repeat("x", 500), Column: 400}
	if line, mark, _ := strings.Cut(long.Caret(), "\n"); len(line) != 120 || len(mark) != 61 {
		t.Errorf("%q", long.Caret())
	}
}

// FuzzParse: whatever is typed gives an expression that can be asked, or an
// error with a column in it, quickly.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"", "*", "web*-prod and G@os:Debian and G@mem.total>8GB and not S@10.2.0.0/16 and P@kernel:^6\\.", "L@a,b", "E@(a|b)", "I@a.b!=c", "N@x",
		"((a) or not 'b c')", `G@x:"a\"b"`, "G@disks.1.size<=2TiB", "P@x:[", "S@::/0", "G@a..b:x", "G@boot_time>2026-01-01", "\\ \xff",
	} {
		f.Add(s)
	}
	x := target.NewIndex()
	x.Put("web-01", host())
	x.Put("db-01", nil)
	f.Fuzz(func(t *testing.T, text string) {
		e, err := target.Parse(text)
		if err != nil {
			se, ok := errors.AsType[*target.SyntaxError](err)
			if ok && (se.Column < 1 || se.Column > len(text)+1 || se.Caret() == "") {
				t.Errorf("%q: column %d", text, se.Column)
			}
			return
		}
		ids, _, err := x.Query(t.Context(), e, "", 0)
		if err == nil && slices.Contains(ids, "web-01") != e.Match("web-01", host()) || slices.Contains(ids, "db-01") != e.Match("db-01", nil) && err == nil {
			t.Errorf("%q selects %v", text, ids)
		}
		if again, err := target.Parse("(" + e.String() + " )"); err != nil && len(text) < target.MaxExpr-3 && !strings.Contains(err.Error(), "too deeply") {
			t.Errorf("%q in parentheses: %v", text, err)
		} else if err == nil && again.Match("web-01", host()) != e.Match("web-01", host()) {
			t.Errorf("%q means something else in parentheses", text)
		}
	})
}
