package pkg

import (
	"strings"

	"github.com/rind-project/rind/internal/fleet/job/function/local"
)

// apk is Alpine's package manager.
func apk() provider {
	run := func(args ...string) []string {
		return append([]string{"apk", "--no-progress"}, args...)
	}
	return provider{
		name: "apk", programs: []string{"apk"}, busy: says("Unable to lock database"),
		list:          run("list", "--installed"),
		parseList:     parseApk,
		upgrades:      run("list", "--upgradable"),
		parseUpgrades: parseApkUpgrades,
		refresh:       run("update"),
		install:       run("add"),
		remove:        run("del"),
		upgrade:       run("add", "--upgrade"),
		upgradeAll:    run("upgrade"),
		simulate:      []string{"--simulate"},
		version:       func(name, version string) string { return name + "=" + version },
	}
}

// parseApk reads rows such as "musl-1.2.4-r2 x86_64 {musl} (MIT) [installed]".
func parseApk(text string) []Package {
	var all []Package
	for line := range strings.SplitSeq(text, "\n") {
		w := strings.Fields(line)
		if len(w) < 3 || !strings.Contains(line, "[installed") && !strings.Contains(line, "[upgradable") {
			continue
		}
		if name, version, ok := splitApk(w[0]); ok {
			all = append(all, Package{Name: name, Version: version, Arch: local.Clean(w[1])})
		}
	}
	return all
}

// parseApkUpgrades reads the same rows, which end with
// "[upgradable from: busybox-1.36.1-r2]".
func parseApkUpgrades(text string) []Upgrade {
	var all []Upgrade
	for line := range strings.SplitSeq(text, "\n") {
		first, rest, ok := strings.Cut(line, "[upgradable from: ")
		w := strings.Fields(first)
		if !ok || len(w) == 0 {
			continue
		}
		name, now, ok1 := splitApk(w[0])
		_, old, ok2 := splitApk(strings.TrimSuffix(strings.TrimSpace(rest), "]"))
		if ok1 && ok2 {
			all = append(all, Upgrade{Name: name, Old: old, New: now})
		}
	}
	return all
}

// splitApk parts a name from its version, which has one dash itself: "1.2.4-r2".
func splitApk(s string) (name, version string, ok bool) {
	release := strings.LastIndexByte(s, '-')
	if release <= 0 {
		return "", "", false
	}
	at := strings.LastIndexByte(s[:release], '-')
	if at <= 0 || !strings.HasPrefix(s[release:], "-r") {
		return "", "", false
	}
	return local.Clean(s[:at]), local.Clean(s[at+1:]), true
}
