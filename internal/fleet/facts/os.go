package facts

import (
	"strings"

	"github.com/rind-project/rind/internal/fleet"
)

// names are the short names of systems by their ID in os-release(5), whose
// NAME is often longer.
var names = map[string]string{
	"debian": "Debian", "ubuntu": "Ubuntu", "alpine": "Alpine", "rhel": "RHEL", "centos": "CentOS",
	"rocky": "Rocky", "almalinux": "AlmaLinux", "fedora": "Fedora", "ol": "OracleLinux", "amzn": "Amazon",
	"opensuse-leap": "openSUSE", "opensuse-tumbleweed": "openSUSE", "sles": "SLES", "arch": "Arch",
	"raspbian": "Raspbian", "linuxmint": "Mint", "gentoo": "Gentoo", "nixos": "NixOS",
}

// families are the systems that another one descends from, by ID or ID_LIKE.
var families = map[string]string{
	"debian": "debian", "ubuntu": "debian", "rhel": "redhat", "fedora": "redhat", "centos": "redhat",
	"suse": "suse", "opensuse": "suse", "sles": "suse", "alpine": "alpine", "arch": "arch", "gentoo": "gentoo",
}

// osRelease reads os-release(5).
func (t tree) osRelease(f *fleet.Facts) {
	text := t.read("etc/os-release")
	if text == "" {
		text = t.read("usr/lib/os-release")
	}
	kv := map[string]string{}
	for line := range strings.SplitSeq(text, "\n") {
		key, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		if ok && !strings.HasPrefix(key, "#") && len(kv) < MaxList {
			kv[key] = clean(unquote(value))
		}
	}
	id := kv["ID"]
	f.OS = names[id]
	for _, s := range []string{kv["NAME"], id, f.KernelName} {
		if f.OS == "" {
			f.OS = s
		}
	}
	f.OSVersion, f.OSCodename, f.OSPretty = kv["VERSION_ID"], kv["VERSION_CODENAME"], kv["PRETTY_NAME"]
	for _, word := range append([]string{id}, strings.Fields(kv["ID_LIKE"])...) {
		if f.OSFamily = families[word]; f.OSFamily != "" {
			return
		}
	}
	f.OSFamily = id
}

// unquote takes the quotes off a value as a shell would.
func unquote(s string) string {
	if len(s) < 2 || s[0] != s[len(s)-1] {
		return s
	}
	switch s[0] {
	case '\'':
		return s[1 : len(s)-1]
	case '"':
		return strings.NewReplacer(`\"`, `"`, `\\`, `\`, `\$`, `$`, "\\`", "`").Replace(s[1 : len(s)-1])
	}
	return s
}

// pkgManager goes by the program that is there. The order matters on systems
// that have a foreign one installed too.
func (t tree) pkgManager() string {
	for _, p := range []struct{ file, name string }{
		{"usr/bin/apt-get", "apt"}, {"sbin/apk", "apk"}, {"usr/bin/dnf", "dnf"}, {"usr/bin/dnf5", "dnf"},
		{"usr/bin/microdnf", "dnf"}, {"usr/bin/yum", "dnf"}, {"usr/bin/zypper", "zypper"}, {"usr/bin/pacman", "pacman"},
	} {
		if t.exists(p.file) {
			return p.name
		}
	}
	return ""
}

// init is the init system that runs, not one that is only installed: systemd
// makes its folder at boot, see sd_booted(3).
func (t tree) init() string {
	switch {
	case t.exists("run/systemd/system"):
		return "systemd"
	case t.exists("run/openrc"):
		return "openrc"
	case t.line("proc/1/comm") == "init" && t.exists("etc/init.d"):
		return "sysv"
	}
	return ""
}
