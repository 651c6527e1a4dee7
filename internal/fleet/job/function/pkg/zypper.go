package pkg

import (
	"strings"

	"github.com/rind-project/rind/internal/fleet/job/function/local"
)

// zypper is SUSE's package manager. Its exit codes from 100 on are news, such
// as that a restart is needed.
func zypper() provider {
	run := func(args ...string) []string {
		return append([]string{"zypper", "--quiet", "--non-interactive"}, args...)
	}
	return provider{
		name: "zypper", programs: []string{"zypper"}, good: []int{100, 101, 102, 103, 106},
		busy:          func(out local.Output) bool { return out.Code == 7 }, // ZYPPER_EXIT_ZYPP_LOCKED, zypper(8)
		list:          rpmList(),
		parseList:     parseRPM,
		upgrades:      []string{"zypper", "--quiet", "--non-interactive", "--no-refresh", "list-updates"},
		parseUpgrades: parseZypperUpdates,
		refresh:       run("refresh"),
		install:       run("install", "--auto-agree-with-licenses"),
		older:         []string{"--oldpackage"}, // without it nothing is done, and that is no failure
		remove:        run("remove"),
		upgrade:       run("update", "--auto-agree-with-licenses"),
		upgradeAll:    run("update", "--auto-agree-with-licenses"),
		simulate:      []string{"--dry-run"},
		version:       func(name, version string) string { return name + "=" + version },
	}
}

// parseZypperUpdates reads a table whose columns have titles.
func parseZypperUpdates(text string) []Upgrade {
	var all []Upgrade
	column := map[string]int{}
	for line := range strings.SplitSeq(text, "\n") {
		cells := strings.Split(line, "|")
		for i := range cells {
			cells[i] = local.Clean(cells[i])
		}
		if len(column) == 0 {
			if len(cells) > 3 {
				for i, c := range cells {
					column[c] = i
				}
			}
			continue
		}
		name, ok1 := column["Name"]
		old, ok2 := column["Current Version"]
		now, ok3 := column["Available Version"]
		if ok1 && ok2 && ok3 && len(cells) > max(name, old, now) {
			all = append(all, Upgrade{Name: cells[name], Old: cells[old], New: cells[now]})
		}
	}
	return all
}
