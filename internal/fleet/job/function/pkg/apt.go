package pkg

import (
	"strings"

	"github.com/rind-project/rind/internal/fleet/job/function/local"
)

// apt is Debian's package manager and its descendants'. It keeps configuration
// files that were edited, is told to take no name for a pattern, and that a list
// which cannot be fetched is a failure, not only where the server says that it
// has none.
func apt() provider {
	get := func(args ...string) []string {
		return append([]string{"apt-get", "-q", "-y", "-o", "APT::Cmd::Pattern-Only=true", "-o", "APT::Color=0",
			"-o", "Dpkg::Options::=--force-confdef", "-o", "Dpkg::Options::=--force-confold"}, args...)
	}
	return provider{
		name: "apt", programs: []string{"apt-get"}, busy: says("Could not get lock"),
		env:           []string{"DEBIAN_FRONTEND=noninteractive", "APT_LISTCHANGES_FRONTEND=none", "NEEDRESTART_MODE=l"},
		list:          []string{"dpkg-query", "-W", "-f", `${db:Status-Status}\t${Package}\t${Version}\t${Architecture}\n`},
		parseList:     parseDpkg,
		upgrades:      []string{"apt-get", "-q", "-s", "-o", "Debug::NoLocking=true", "dist-upgrade"},
		parseUpgrades: parseAptSimulation,
		refresh:       get("-o", "APT::Update::Error-Mode=any", "update"),
		install:       get("install"),
		older:         []string{"--allow-downgrades"},
		remove:        get("remove"),
		upgrade:       get("install", "--only-upgrade"),
		upgradeAll:    get("dist-upgrade"),
		simulate:      []string{"-s"},
		version:       func(name, version string) string { return name + "=" + version },
	}
}

func parseDpkg(text string) []Package {
	var all []Package
	for line := range strings.SplitSeq(text, "\n") {
		if w := strings.Split(line, "\t"); len(w) == 4 && w[0] == "installed" {
			all = append(all, Package{Name: local.Clean(w[1]), Version: local.Clean(w[2]), Arch: local.Clean(w[3])})
		}
	}
	return all
}

// parseAptSimulation reads "Inst NAME [OLD] (NEW SOURCE [ARCH])". A package that
// is new has no OLD, and is left out.
func parseAptSimulation(text string) []Upgrade {
	var all []Upgrade
	for line := range strings.SplitSeq(text, "\n") {
		w := strings.Fields(line)
		if len(w) < 4 || w[0] != "Inst" || !strings.HasPrefix(w[2], "[") || !strings.HasPrefix(w[3], "(") {
			continue
		}
		all = append(all, Upgrade{Name: local.Clean(w[1]), Old: local.Clean(strings.Trim(w[2], "[]")), New: local.Clean(strings.Trim(w[3], "()"))})
	}
	return all
}
