package pkg

import (
	"strings"

	"github.com/rind-project/rind/internal/fleet/job/function/local"
)

// pacman is Arch's package manager. It installs the version that its lists
// have; another one is not found.
func pacman() provider {
	run := func(args ...string) []string {
		return append([]string{"pacman", "--noconfirm", "--noprogressbar", "--color", "never"}, args...)
	}
	return provider{
		name: "pacman", programs: []string{"pacman"}, busy: says("unable to lock database"),
		list:          []string{"pacman", "-Q"},
		parseList:     parsePacman,
		upgrades:      []string{"pacman", "-Qu"},
		upgradesGood:  []int{1}, // there are none
		parseUpgrades: parsePacmanUpgrades,
		refresh:       run("-Sy"),
		install:       run("-S", "--needed"),
		remove:        run("-R"),
		upgrade:       run("-S", "--needed"),
		upgradeAll:    run("-Su"),
		simulate:      []string{"--print", "--print-format", "%n %v"},
		version:       func(name, version string) string { return name + "=" + version },
	}
}

func parsePacman(text string) []Package {
	var all []Package
	for line := range strings.SplitSeq(text, "\n") {
		if w := strings.Fields(line); len(w) == 2 {
			all = append(all, Package{Name: local.Clean(w[0]), Version: local.Clean(w[1])})
		}
	}
	return all
}

// parsePacmanUpgrades reads "NAME OLD -> NEW", with "[ignored]" behind what is
// held back.
func parsePacmanUpgrades(text string) []Upgrade {
	var all []Upgrade
	for line := range strings.SplitSeq(text, "\n") {
		if w := strings.Fields(line); len(w) == 4 && w[2] == "->" {
			all = append(all, Upgrade{Name: local.Clean(w[0]), Old: local.Clean(w[1]), New: local.Clean(w[3])})
		}
	}
	return all
}
