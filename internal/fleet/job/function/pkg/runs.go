package pkg

import (
	"context"
	"path"
	"slices"
	"strings"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet/job/function/local"
	"github.com/rind-project/rind/internal/fleet/job/function/schema"
)

// Runs are the functions pkg.*.
func Runs(s *local.System) map[string]schema.Run {
	with := func(fn func(context.Context, *manager, schema.Values) (any, error)) schema.Run {
		return func(ctx context.Context, c schema.Call) (schema.Result, error) {
			m, err := find(s)
			if err != nil {
				return schema.Result{}, err
			}
			value, err := fn(ctx, m, c.Args)
			return schema.Result{Value: value}, err
		}
	}
	return map[string]schema.Run{
		"pkg.list": with(list), "pkg.version": with(version), "pkg.list_upgrades": with(listUpgrades), "pkg.refresh": with(refresh),
		"pkg.install": with(install), "pkg.remove": with(remove), "pkg.upgrade": with(upgrade),
	}
}

func list(ctx context.Context, m *manager, args schema.Values) (any, error) {
	glob := args.Text("match")
	if _, err := path.Match(glob, ""); err != nil {
		return nil, errs.New(errs.Invalid, "%s is no glob of names", schema.Clip(glob))
	}
	all, err := m.installed(ctx)
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(p Package) bool { return !match(glob, p.Name) })
	if len(all) > local.MaxRows {
		return nil, errs.New(errs.TooLarge, "%d packages match, at most %d are returned", len(all), local.MaxRows)
	}
	return append([]Package{}, all...), nil
}

func version(ctx context.Context, m *manager, args schema.Values) (any, error) {
	names, err := m.words(args.List("names"), false)
	if err != nil {
		return nil, err
	}
	all, err := m.installed(ctx)
	if err != nil {
		return nil, err
	}
	have, out := versions(all), map[string]string{}
	for _, p := range all {
		have[p.Name+":"+p.Arch] = p.Version
	}
	for _, n := range names {
		out[n] = have[n]
	}
	return out, nil
}

func listUpgrades(ctx context.Context, m *manager, _ schema.Values) (any, error) {
	all, err := m.pending(ctx)
	if err != nil {
		return nil, err
	}
	return append([]Upgrade{}, all...), nil
}

func refresh(ctx context.Context, m *manager, _ schema.Values) (any, error) {
	_, err := m.do(ctx, m.refresh, nil)
	return err == nil, err
}

// Changed is the value of the functions that change packages.
type Changed struct {
	Changed  bool      `json:"changed"`
	Test     bool      `json:"test,omitempty"`
	Packages []Upgrade `json:"packages"`
	Output   string    `json:"output,omitempty"` // of the package manager, in a test
	Comment  string    `json:"comment,omitempty"`
}

func install(ctx context.Context, m *manager, args schema.Values) (any, error) {
	names, err := m.words(args.List("names"), true)
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return nil, errs.New(errs.Invalid, "no package is named")
	}
	argv := m.install
	if slices.ContainsFunc(args.List("names"), func(n string) bool { return strings.Contains(n, "=") }) {
		argv = append(slices.Clone(argv), m.older...)
	}
	return m.change(ctx, args, argv, names)
}

// remove names to the package manager only what is installed, so that it has no
// occasion to take a word for something else.
func remove(ctx context.Context, m *manager, args schema.Values) (any, error) {
	names, err := m.words(args.List("names"), false)
	if err != nil {
		return nil, err
	}
	names, err = m.present(ctx, names)
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return Changed{Test: args.Bool("test"), Packages: []Upgrade{}, Comment: "none of them is installed"}, nil
	}
	return m.change(ctx, args, m.remove, names)
}

func upgrade(ctx context.Context, m *manager, args schema.Values) (any, error) {
	names, err := m.words(args.List("names"), false)
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return m.change(ctx, args, m.upgradeAll, nil)
	}
	names, err = m.present(ctx, names)
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return Changed{Test: args.Bool("test"), Packages: []Upgrade{}, Comment: "none of them is installed"}, nil
	}
	return m.change(ctx, args, m.upgrade, names)
}

// present leaves the names of installed packages.
func (m *manager) present(ctx context.Context, names []string) ([]string, error) {
	all, err := m.installed(ctx)
	if err != nil {
		return nil, err
	}
	have := versions(all)
	return slices.DeleteFunc(names, func(n string) bool {
		n, _, _ = strings.Cut(n, ":")
		_, ok := have[n]
		return !ok
	}), nil
}

// change runs what changes packages, and finds out what did change.
func (m *manager) change(ctx context.Context, args schema.Values, argv, names []string) (any, error) {
	if args.Bool("test") {
		out, err := m.do(ctx, append(slices.Clone(argv), m.simulate...), names)
		if err != nil && (m.simulated == nil || !m.simulated(out)) {
			return nil, err
		}
		text := out.Stdout
		if len(text) > 64<<10 {
			text = text[:64<<10] + "\n… cut …"
		}
		return Changed{Test: true, Packages: []Upgrade{}, Output: text, Comment: "nothing was changed; the output is what the package manager would do"}, nil
	}
	if args.Bool("refresh") {
		if _, err := m.do(ctx, m.refresh, nil); err != nil {
			return nil, err
		}
	}
	before, err := m.installed(ctx)
	if err != nil {
		return nil, err
	}
	_, failed := m.do(ctx, argv, names)
	if ctx.Err() != nil {
		return nil, failed
	}
	after, err := m.installed(ctx)
	if failed != nil || err != nil {
		if d := compare(before, after); err == nil && len(d) > 0 {
			return nil, errs.New(errs.KindOf(failed), "%d packages changed before it failed: %w", len(d), failed)
		}
		if failed != nil {
			return nil, failed
		}
		return nil, err
	}
	d := compare(before, after)
	return Changed{Changed: len(d) > 0, Packages: d}, nil
}
