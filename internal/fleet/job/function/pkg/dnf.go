package pkg

import (
	"strings"

	"github.com/rind-project/rind/internal/fleet/job/function/local"
)

// rpmList lists what the RPM database has; the epoch is left out where there is
// none.
func rpmList() []string {
	return []string{"rpm", "-qa", "--qf", `%{NAME}\t%|EPOCH?{%{EPOCH}:}|%{VERSION}-%{RELEASE}\t%{ARCH}\n`}
}

// dnf is the package manager of Fedora, of Red Hat's systems and theirs.
func dnf() provider {
	return provider{
		name: "dnf", programs: []string{"dnf", "dnf5", "microdnf", "yum"},
		list:          rpmList(),
		parseList:     parseRPM,
		upgrades:      []string{"dnf", "-q", "check-update"},
		upgradesGood:  []int{100}, // there are some
		parseUpgrades: parseDnfUpdates,
		refresh:       []string{"dnf", "-q", "-y", "makecache"},
		install:       []string{"dnf", "-q", "-y", "install"},
		remove:        []string{"dnf", "-q", "-y", "remove"},
		upgrade:       []string{"dnf", "-q", "-y", "upgrade"},
		upgradeAll:    []string{"dnf", "-q", "-y", "upgrade"},
		simulate:      []string{"--assumeno"},
		simulated:     []int{1},
		version:       func(name, version string) string { return name + "-" + version },
	}
}

func parseRPM(text string) []Package {
	var all []Package
	for line := range strings.SplitSeq(text, "\n") {
		// The keys of repositories are kept as packages too.
		if w := strings.Split(line, "\t"); len(w) == 3 && w[0] != "gpg-pubkey" {
			all = append(all, Package{Name: local.Clean(w[0]), Version: local.Clean(w[1]), Arch: local.Clean(w[2])})
		}
	}
	return all
}

// parseDnfUpdates reads rows of NAME.ARCH, version and repository. Rows that are
// too long are broken, and go on after blanks. What is obsoleted comes last,
// under a title, and is left out.
func parseDnfUpdates(text string) []Upgrade {
	var all []Upgrade
	var row []string
	for line := range strings.SplitSeq(text, "\n") {
		w := strings.Fields(line)
		if len(w) == 0 {
			row = nil
			continue
		}
		if w[0] == "Obsoleting" || w[0] == "Obsoletes" {
			break
		}
		if line[0] == ' ' && len(row) > 0 && len(row) < 3 {
			row = append(row, w...)
		} else {
			row = w
		}
		if len(row) != 3 {
			continue
		}
		if dot := strings.LastIndexByte(row[0], '.'); dot > 0 && strings.ContainsAny(row[1], "0123456789") {
			all = append(all, Upgrade{Name: local.Clean(row[0][:dot]), New: local.Clean(row[1])})
		}
		row = nil
	}
	return all
}
