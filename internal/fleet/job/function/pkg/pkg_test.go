package pkg

import (
	"context"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet/job/function/local"
	"github.com/rind-project/rind/internal/fleet/job/function/localtest"
)

// Output as the programs write it, of a few packages each.
const (
	dpkgText = "installed\tbash\t5.2.15-2+b8\tamd64\n" +
		"installed\tlibc6\t2.36-9+deb12u10\tamd64\ninstalled\tlibc6\t2.36-9+deb12u10\ti386\n" +
		"config-files\ttelnet\t0.17-44\tall\nhalf a line\n"
	aptText = `NOTE: This is only a simulation!
Reading package lists...
Inst base-files [12.4+deb12u11] (12.4+deb12u15 Debian:12.15/oldstable [amd64])
Inst linux-image-6.1.0-40-amd64 (6.1.153-1 Debian:12.12/oldstable [amd64])
Inst libc6 [2.36-9+deb12u10] (2.36-9+deb12u13 Debian:12.12/oldstable [amd64]) []
Conf base-files (12.4+deb12u15 Debian:12.15/oldstable [amd64])
`
	rpmText = "bash\t5.2.26-3.fc40\tx86_64\nopenssl-libs\t1:3.2.2-3.fc40\tx86_64\n" +
		"kernel-core\t6.8.5-301.fc40\tx86_64\nkernel-core\t6.11.4-201.fc40\tx86_64\ngpg-pubkey\ta15b79cc-63d04c2c\t(none)\n"
	dnfText = `
bash.x86_64                          5.2.32-1.fc40                  updates
a-package-with-a-very-long-name-indeed.noarch
                                     2:1.0-3.fc40                   updates
openssl-libs.x86_64                  1:3.2.4-1.fc40                 updates
Obsoleting Packages
grub2-tools.x86_64                   1:2.06-123.fc40                updates
    grub2-tools.x86_64               1:2.06-118.fc40                @System
`
	zypperText = `S | Repository                  | Name    | Current Version | Available Version | Arch
--+-----------------------------+---------+-----------------+-------------------+-------
v | Update repository of openSUSE | bash  | 4.4-150400.25.22 | 4.4-150400.27.3.1 | x86_64
v | Main Repository             | libzypp | 17.31.8-1.1     | 17.35.11-1.1      | x86_64
`
	apkText = `WARNING: opening from cache https://dl-cdn.alpinelinux.org/alpine/v3.20/main: No such file or directory
busybox-1.36.1-r29 x86_64 {busybox} (GPL-2.0-only) [installed]
alpine-baselayout-data-3.6.5-r0 x86_64 {alpine-baselayout} (GPL-2.0-only) [installed]
`
	apkUpgrades = `busybox-1.36.1-r31 x86_64 {busybox} (GPL-2.0-only) [upgradable from: busybox-1.36.1-r29]
`
	pacmanText     = "bash 5.2.037-1\nlinux 6.11.5.arch1-1\n"
	pacmanUpgrades = "bash 5.2.037-1 -> 5.2.037-2\nlinux 6.11.5.arch1-1 -> 6.11.6.arch1-1 [ignored]\n"
)

func out(text string, code ...int) local.Output {
	return local.Output{Stdout: text, Code: append(code, 0)[0]}
}

func apkHost(t *testing.T) *localtest.Host { return localtest.New(t, "apk") }

func TestListsOfAllSystems(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		programs []string
		answers  map[string]local.Output
		list     []Package
		upgrades []Upgrade
	}{
		"apt": {[]string{"apt-get", "dpkg-query"}, map[string]local.Output{"dpkg-query -W": out(dpkgText), "apt-get -q -s": out(aptText)},
			[]Package{{"bash", "5.2.15-2+b8", "amd64"}, {"libc6", "2.36-9+deb12u10", "amd64"}, {"libc6", "2.36-9+deb12u10", "i386"}},
			[]Upgrade{{"base-files", "12.4+deb12u11", "12.4+deb12u15"}, {"libc6", "2.36-9+deb12u10", "2.36-9+deb12u13"}}},
		"dnf": {[]string{"dnf", "rpm"}, map[string]local.Output{"rpm -qa": out(rpmText), "dnf -q --setopt=exit_on_lock=1 check-update": out(dnfText, 100)},
			[]Package{{"bash", "5.2.26-3.fc40", "x86_64"}, {"kernel-core", "6.8.5-301.fc40", "x86_64"}, {"kernel-core", "6.11.4-201.fc40", "x86_64"}, {"openssl-libs", "1:3.2.2-3.fc40", "x86_64"}},
			[]Upgrade{{"a-package-with-a-very-long-name-indeed", "", "2:1.0-3.fc40"}, {"bash", "5.2.26-3.fc40", "5.2.32-1.fc40"}, {"openssl-libs", "1:3.2.2-3.fc40", "1:3.2.4-1.fc40"}}},
		"yum": {[]string{"yum", "rpm"}, map[string]local.Output{"rpm -qa": out("bash\t4.2.46-35.el7_9\tx86_64\n"), "yum -q --setopt=exit_on_lock=1 check-update": out("")},
			[]Package{{"bash", "4.2.46-35.el7_9", "x86_64"}}, []Upgrade{}},
		"zypper": {[]string{"zypper", "rpm"}, map[string]local.Output{"rpm -qa": out("bash\t4.4-150400.25.22\tx86_64\n"), "zypper --quiet --non-interactive --no-refresh list-updates": out(zypperText)},
			[]Package{{"bash", "4.4-150400.25.22", "x86_64"}},
			[]Upgrade{{"bash", "4.4-150400.25.22", "4.4-150400.27.3.1"}, {"libzypp", "17.31.8-1.1", "17.35.11-1.1"}}},
		"apk": {[]string{"apk"}, map[string]local.Output{"apk --no-progress list --installed": out(apkText), "apk --no-progress list --upgradable": out(apkUpgrades)},
			[]Package{{"alpine-baselayout-data", "3.6.5-r0", "x86_64"}, {"busybox", "1.36.1-r29", "x86_64"}},
			[]Upgrade{{"busybox", "1.36.1-r29", "1.36.1-r31"}}},
		"pacman": {[]string{"pacman"}, map[string]local.Output{"pacman -Q": out(pacmanText), "pacman -Qu": out(pacmanUpgrades, 0)},
			[]Package{{"bash", "5.2.037-1", ""}, {"linux", "6.11.5.arch1-1", ""}}, []Upgrade{{"bash", "5.2.037-1", "5.2.037-2"}}},
		"pacman without upgrades": {[]string{"pacman"}, map[string]local.Output{"pacman -Q": out(""), "pacman -Qu": out("", 1)}, []Package{}, []Upgrade{}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := localtest.New(t, tt.programs...)
			for line, o := range tt.answers {
				h.Answer(line, o)
			}
			res, err := localtest.Do(t, Runs(h.System), nil, "pkg.list")
			if diff := cmp.Diff(any(tt.list), res.Value); err != nil || diff != "" {
				t.Errorf("pkg.list: %v (-want +got):\n%s", err, diff)
			}
			res, err = localtest.Do(t, Runs(h.System), nil, "pkg.list_upgrades")
			if diff := cmp.Diff(any(tt.upgrades), res.Value); err != nil || diff != "" {
				t.Errorf("pkg.list_upgrades: %v (-want +got):\n%s", err, diff)
			}
		})
	}
}

// TestChangesOfAllSystems looks at the argument lists, and at what is reported.
func TestChangesOfAllSystems(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		programs              []string
		list, before, after   string
		install, remove, test string
	}{
		"apt": {[]string{"apt-get", "dpkg-query"}, "dpkg-query", "installed\tcurl\t1\tamd64\n", "installed\tcurl\t2\tamd64\ninstalled\tjq\t3\tall\n",
			"install --allow-downgrades curl=2 jq", "remove curl", "install --allow-downgrades -s curl=2 jq"},
		"dnf":    {[]string{"dnf", "rpm"}, "rpm", "curl\t1\tx\n", "curl\t2\tx\njq\t3\tx\n", "dnf -y --setopt=exit_on_lock=1 install curl-2 jq", "dnf -y --setopt=exit_on_lock=1 remove curl", "install --assumeno curl-2 jq"},
		"zypper": {[]string{"zypper", "rpm"}, "rpm", "curl\t1\tx\n", "curl\t2\tx\njq\t3\tx\n", "install --auto-agree-with-licenses --oldpackage curl=2 jq", "remove curl", "--dry-run curl=2 jq"},
		"apk": {[]string{"apk"}, "apk --no-progress list", "curl-1-r0 x {c} (MIT) [installed]\n", "curl-2-r0 x {c} (MIT) [installed]\njq-3-r0 x {c} (MIT) [installed]\n",
			"add curl=2 jq", "del curl", "add --simulate curl=2 jq"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := localtest.New(t, tt.programs...)
			h.Answer(tt.list, out(tt.before), out(tt.after))
			h.Answer("", out("would do"))
			res, err := localtest.Do(t, Runs(h.System), nil, "pkg.install", "curl=2", "jq")
			if err != nil {
				t.Fatal(err)
			}
			got := res.Value.(Changed)
			if !got.Changed || len(got.Packages) != 2 || got.Packages[0].Name != "curl" || got.Packages[1].Old != "" || !strings.HasPrefix(got.Packages[1].New, "3") {
				t.Errorf("reported %+v", got)
			}
			res, err = localtest.Do(t, Runs(h.System), nil, "pkg.install", "curl=2", "jq", "test=true")
			if err != nil || !res.Value.(Changed).Test || res.Value.(Changed).Output != "would do" {
				t.Errorf("%+v, %v", res, err)
			}
			if _, err := localtest.Do(t, Runs(h.System), nil, "pkg.remove", "curl", "absent"); err != nil {
				t.Error(err)
			}
			ran := h.Ran()
			for _, want := range []string{tt.install, tt.test, tt.remove} {
				if !slices.ContainsFunc(ran, func(l string) bool { return strings.HasSuffix(l, want) }) {
					t.Errorf("nothing ended with %q among\n%s", want, strings.Join(ran, "\n"))
				}
			}
		})
	}
}

func TestHostileNamesAreRefused(t *testing.T) {
	t.Parallel()
	h := localtest.New(t, "apt-get", "dpkg-query")
	for _, name := range []string{"-y", "--purge", "a;b", "a b", "$(x)", "../x", "/tmp/x.deb", "bash-", "*", "^lib", "a=", "a=-1", "a=1 2", "@group", strings.Repeat("x", 200), "ä"} {
		for _, fn := range []string{"pkg.install", "pkg.remove", "pkg.upgrade", "pkg.version"} {
			if _, err := localtest.Do(t, Runs(h.System), nil, fn, name); err == nil || strings.Contains(err.Error(), "no answer") {
				t.Errorf("%s took %q: %v", fn, name, err)
			}
		}
	}
	if ran := h.Ran(); len(ran) > 0 {
		t.Errorf("%q was run", ran)
	}
	if _, err := localtest.Do(t, Runs(apkHost(t).System), nil, "pkg.remove", "a=1"); err == nil || !strings.Contains(err.Error(), "no version can be given") {
		t.Errorf("got %v", err)
	}
}

func TestFailuresSayWhatChanged(t *testing.T) {
	t.Parallel()
	h := localtest.New(t, "apt-get", "dpkg-query")
	h.Answer("dpkg-query", out("installed\ta\t1\tall\n"), out("installed\ta\t1\tall\ninstalled\tb\t1\tall\n"))
	h.Answer("apt-get", local.Output{Code: 100, Stderr: "E: Unmet dependencies\nE: Unable to correct problems\x1b[31m"})
	_, err := localtest.Do(t, Runs(h.System), nil, "pkg.install", "b")
	if err == nil || err.Error() != "1 packages changed before it failed: apt-get ended with exit code 100: E: Unmet dependencies; E: Unable to correct problems[31m" {
		t.Errorf("got %v", err)
	}
	if _, err := localtest.Do(t, Runs(localtest.New(t).System), nil, "pkg.list"); err == nil || !strings.Contains(err.Error(), "no package manager") {
		t.Errorf("got %v", err)
	}
}

// TestAnotherOneWorks waits for it, and not for ever.
func TestAnotherOneWorks(t *testing.T) {
	t.Parallel()
	locked := local.Output{Code: 100, Stderr: "E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 7 (dpkg)"}
	synctest.Test(t, func(t *testing.T) {
		h := localtest.New(t, "apt-get", "dpkg-query")
		h.Answer("dpkg-query", out(""))
		h.Answer("apt-get", locked, locked, out(""))
		begin := time.Now()
		if _, err := localtest.Do(t, Runs(h.System), nil, "pkg.install", "b"); err != nil || time.Since(begin) != 2*pause {
			t.Errorf("after %v: %v", time.Since(begin), err)
		}
		h.Answer("apt-get", locked)
		begin = time.Now()
		_, err := localtest.Do(t, Runs(h.System), nil, "pkg.install", "b")
		if !errs.Is(err, errs.Unavailable) || !strings.Contains(err.Error(), "held by process 7") || time.Since(begin) != patience {
			t.Errorf("after %v: %v", time.Since(begin), err)
		}
	})
}

func TestVersionOfAnArchitecture(t *testing.T) {
	t.Parallel()
	h := localtest.New(t, "apt-get", "dpkg-query")
	h.Answer("dpkg-query", out("installed\tlibc6\t1\tamd64\ninstalled\tlibc6\t2\ti386\n"))
	res, err := localtest.Do(t, Runs(h.System), nil, "pkg.version", "libc6", "libc6:i386", "libc6:arm64")
	if diff := cmp.Diff(any(map[string]string{"libc6": "1, 2", "libc6:i386": "2", "libc6:arm64": ""}), res.Value); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

// TestThisDebian asks the real tools, which change nothing.
func TestThisDebian(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("dpkg-query"); err != nil {
		t.Skip("dpkg-query is not there")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	m, err := find(local.Host())
	if err != nil {
		t.Skip(err)
	}
	all, err := m.installed(ctx)
	if err != nil || len(all) < 20 || versions(all)["dpkg"] == "" {
		t.Errorf("%d packages, %v", len(all), err)
	}
	if _, err := m.pending(ctx); err != nil {
		t.Error(err)
	}
}

func FuzzParsers(f *testing.F) {
	for _, text := range []string{dpkgText, aptText, rpmText, dnfText, zypperText, apkText, apkUpgrades, pacmanText, pacmanUpgrades} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, p := range providers() {
			for _, v := range p.parseList(text) {
				if strings.ContainsAny(v.Name+v.Version, "\n\x1b") {
					t.Errorf("%s: %q", p.name, v)
				}
			}
			for _, v := range p.parseUpgrades(text) {
				if strings.ContainsAny(v.Name+v.Old+v.New, "\n\x1b") {
					t.Errorf("%s: %q", p.name, v)
				}
			}
		}
	})
}
