// Package pkg holds the functions that install and remove packages, with a
// provider for each package manager. Programs are run by their arguments,
// never by a shell, and names are checked against what a package can be called.
package pkg

import (
	"context"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet/job/function/local"
	"github.com/rind-project/rind/internal/fleet/job/function/schema"
)

// Package is an installed package.
type Package struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	Arch    string `json:"arch,omitempty"`
}

// Upgrade is a package that has a newer version, or a change of one: Old is ""
// for one that was not there, New for one that is no more.
type Upgrade struct {
	Name string `json:"name"`
	Old  string `json:"old"`
	New  string `json:"new"`
}

// provider is a package manager. Functions that return an argument list have
// the program first.
type provider struct {
	name     string
	programs []string // the first that is there is what takes the place of the name in argument lists
	env      []string
	good     []int                   // exit codes that are no failure
	busy     func(local.Output) bool // it did nothing, because another one works

	list          []string
	parseList     func(string) []Package
	upgrades      []string
	upgradesGood  []int
	parseUpgrades func(string) []Upgrade

	refresh    []string
	install    []string // names follow
	older      []string // further arguments of install where a version is named, which may be an older one
	remove     []string
	upgrade    []string // names follow, where there are some
	upgradeAll []string
	simulate   []string                // further arguments that change nothing
	simulated  func(local.Output) bool // a failure of these is none; nil: each is one
	version    func(name, version string) string
}

// providers in the order in which they are looked for: some systems have a
// foreign one installed too.
func providers() []provider {
	return []provider{apt(), apk(), zypper(), dnf(), pacman()}
}

// manager is the host's package manager.
type manager struct {
	provider
	sys      *local.System
	program  string
	patience time.Duration // how long it is asked again while another one works
}

// find returns the host's package manager.
func find(s *local.System) (*manager, error) {
	for _, p := range providers() {
		for _, program := range p.programs {
			if _, ok := s.Look(program); ok {
				return &manager{provider: p, sys: s, program: program, patience: patience}, nil
			}
		}
	}
	return nil, errs.New(errs.NotFound, "this host has no package manager that is known here (apt, dnf, zypper, apk, pacman)")
}

// How long, and how often, a package manager is asked again while another one
// works.
const (
	patience = time.Minute
	pause    = time.Second
)

// do runs an argument list of the provider. While another one works it is run
// again: what keeps lists fresh in the background takes seconds, mostly.
func (m *manager) do(ctx context.Context, argv []string, more []string, good ...int) (local.Output, error) {
	argv = append(slices.Clone(argv), more...)
	if argv[0] == m.programs[0] {
		argv[0] = m.program
	}
	good = append(good, m.good...)
	for end := time.Now().Add(m.patience); ; {
		out, err := m.sys.Do(ctx, argv, m.env, good...)
		if err == nil || ctx.Err() != nil || !m.busy(out) {
			return out, err
		}
		if time.Now().Before(end) {
			select {
			case <-time.After(pause):
				continue
			case <-ctx.Done():
			}
		}
		return out, errs.New(errs.Unavailable, "another package manager is at work, try again later: %w", err)
	}
}

// says makes of a text that a program writes when another one works what
// recognises it.
func says(text string) func(local.Output) bool {
	return func(out local.Output) bool { return out.Code != 0 && strings.Contains(out.Stdout+out.Stderr, text) }
}

func (m *manager) installed(ctx context.Context) ([]Package, error) {
	out, err := m.do(ctx, m.list, nil)
	if err != nil {
		return nil, err
	}
	if out.Cut {
		return nil, errs.New(errs.TooLarge, "the list of packages has more than %d bytes", local.MaxOutput)
	}
	all := m.parseList(out.Stdout)
	slices.SortFunc(all, func(a, b Package) int { return strings.Compare(a.Name+"\x00"+a.Arch, b.Name+"\x00"+b.Arch) })
	return all, nil
}

func (m *manager) pending(ctx context.Context) ([]Upgrade, error) {
	out, err := m.do(ctx, m.upgrades, nil, m.upgradesGood...)
	if err != nil {
		return nil, err
	}
	all := m.parseUpgrades(out.Stdout)
	if slices.ContainsFunc(all, func(u Upgrade) bool { return u.Old == "" }) {
		have, err := m.installed(ctx)
		if err != nil {
			return nil, err
		}
		old := versions(have)
		for i, u := range all {
			if u.Old == "" {
				all[i].Old = old[u.Name]
			}
		}
	}
	slices.SortFunc(all, func(a, b Upgrade) int { return strings.Compare(a.Name, b.Name) })
	return all, nil
}

// versions are packages by name. One that is there several times, as kernels
// are, has its versions in a row.
func versions(all []Package) map[string]string {
	out := map[string]string{}
	for _, p := range all {
		if v := out[p.Name]; v != "" && v != p.Version {
			out[p.Name] = v + ", " + p.Version
		} else {
			out[p.Name] = p.Version
		}
	}
	return out
}

// compare lists what differs between two lists of packages.
func compare(before, after []Package) []Upgrade {
	old, now := versions(before), versions(after)
	out := []Upgrade{}
	for name, v := range now {
		if old[name] != v {
			out = append(out, Upgrade{Name: name, Old: old[name], New: v})
		}
	}
	for name, v := range old {
		if _, still := now[name]; !still {
			out = append(out, Upgrade{Name: name, Old: v})
		}
	}
	slices.SortFunc(out, func(a, b Upgrade) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// What a package and a version can be called in any of the systems. A name
// cannot begin like an option, nor hold what a package manager takes as a
// pattern, a path, a group or an operation: apt removes what ends with a dash.
var (
	nameForm    = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9+._-]{0,127}(:[a-z0-9-]{1,16})?$`)
	versionForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9+._:~^-]{0,127}$`)
)

// words checks names and makes of NAME=VERSION what the provider takes.
func (m *manager) words(names []string, withVersion bool) ([]string, error) {
	out := make([]string, 0, len(names))
	for _, word := range names {
		name, version, has := strings.Cut(word, "=")
		if !nameForm.MatchString(name) || strings.HasSuffix(name, "-") {
			return nil, errs.New(errs.Invalid, "%s is no name of a package", schema.Clip(name))
		}
		switch {
		case !has:
			out = append(out, name)
		case !withVersion || m.version == nil:
			return nil, errs.New(errs.Invalid, "%s: no version can be given here", schema.Clip(word))
		case !versionForm.MatchString(version):
			return nil, errs.New(errs.Invalid, "%s is no version of a package", schema.Clip(version))
		default:
			out = append(out, m.version(name, version))
		}
	}
	return out, nil
}

func match(glob, name string) bool {
	ok, _ := path.Match(glob, name) // the glob was checked
	return ok
}
