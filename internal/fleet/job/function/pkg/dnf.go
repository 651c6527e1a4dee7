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

// dnf is the package manager of Fedora, of Red Hat's systems and theirs. Left
// alone it waits for another one without end, and takes a repository that is
// gone for none where the host's configuration has skip_if_unavailable. A quiet
// one shows no plan.
func dnf() provider {
	run := func(args ...string) []string {
		return append([]string{"dnf", "-y", "--setopt=exit_on_lock=1"}, args...)
	}
	return provider{
		name: "dnf", programs: []string{"dnf", "dnf5", "microdnf", "yum"},
		busy:          func(out local.Output) bool { return out.Code == 200 }, // "a problem with acquiring or releasing of locks", dnf(8)
		list:          rpmList(),
		parseList:     parseRPM,
		upgrades:      []string{"dnf", "-q", "--setopt=exit_on_lock=1", "check-update"},
		upgradesGood:  []int{100}, // there are some
		parseUpgrades: parseDnfUpdates,
		refresh:       run("-q", "--setopt=*.skip_if_unavailable=0", "makecache"),
		install:       run("install"),
		remove:        run("remove"),
		upgrade:       run("upgrade"),
		upgradeAll:    run("upgrade"),
		simulate:      []string{"--assumeno"},
		simulated:     dnfAborted,
		version:       func(name, version string) string { return name + "-" + version },
	}
}

// dnfAborted tells the end of a plan that was answered with no from a failure,
// which has the same exit code. The second text is yum's.
func dnfAborted(out local.Output) bool {
	text := out.Stdout + out.Stderr
	return out.Code == 1 && (strings.Contains(text, "Operation aborted") || strings.Contains(text, "Exiting on user"))
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
