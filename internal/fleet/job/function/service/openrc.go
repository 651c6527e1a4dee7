package service

import (
	"context"
	"strings"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet/job/function/local"
)

type openrc struct{ sys *local.System }

func (o openrc) list(ctx context.Context) ([]Service, error) {
	states, err := o.sys.Do(ctx, []string{"rc-status", "--all", "--nocolor"}, nil)
	if err != nil {
		return nil, err
	}
	names, err := o.sys.Do(ctx, []string{"rc-service", "--list"}, nil)
	if err != nil {
		return nil, err
	}
	levels, err := o.sys.Do(ctx, []string{"rc-update", "show"}, nil)
	if err != nil {
		return nil, err
	}
	return parseOpenRC(names.Stdout, states.Stdout, levels.Stdout), nil
}

// parseOpenRC joins a name on each line, rows of " NAME  [  started  ]" under
// titles, and rows of "NAME | LEVEL…".
func parseOpenRC(names, states, levels string) []Service {
	is, boot := map[string]string{}, parseLevels(levels)
	for line := range strings.SplitSeq(states, "\n") {
		name, rest, ok := strings.Cut(strings.TrimSpace(line), " ")
		open, end := strings.IndexByte(rest, '['), strings.IndexByte(rest, ']')
		if ok && open >= 0 && end > open {
			is[name] = rcState(rest[open+1 : end])
		}
	}
	var all []Service
	for line := range strings.SplitSeq(names, "\n") {
		name := local.Clean(line)
		if name == "" {
			continue
		}
		v := Service{Name: name, State: stopped, AtBoot: disabled}
		if s := is[name]; s != "" {
			v.State = s
		}
		if len(boot[name]) > 0 {
			v.AtBoot = enabled
		}
		all = append(all, v)
	}
	return all
}

// parseLevels returns the levels of services.
func parseLevels(text string) map[string][]string {
	boot := map[string][]string{}
	for line := range strings.SplitSeq(text, "\n") {
		name, levels, _ := strings.Cut(line, "|")
		boot[strings.TrimSpace(name)] = strings.Fields(levels)
	}
	return boot
}

// rcState reads what stands between brackets; how long it runs may follow.
func rcState(text string) string {
	word, _, _ := strings.Cut(strings.TrimSpace(text), " ")
	switch word {
	case "started":
		return running
	case "crashed":
		return failed
	}
	return local.Clean(word)
}

func (o openrc) status(ctx context.Context, name string) (Service, error) {
	if !o.sys.Executable("etc/init.d/" + name) {
		return Service{}, errs.New(errs.NotFound, "this host has no service %s", name)
	}
	path, ok := o.sys.Look("rc-service")
	if !ok {
		return Service{}, errs.New(errs.NotFound, "this host has no program rc-service")
	}
	out, err := o.sys.Run(ctx, local.Command{Path: path, Args: []string{"--nocolor", name, "status"}})
	if err != nil {
		return Service{}, err
	}
	levels, err := o.levels(ctx, name)
	if err != nil {
		return Service{}, err
	}
	v := Service{Name: name, State: rcExit(out.Code), AtBoot: disabled}
	if len(levels) > 0 {
		v.AtBoot = enabled
	}
	return v, nil
}

// unsupervised is a service that runs, though what was to start it again is
// dead. A start does nothing about it.
const unsupervised = "unsupervised"

// rcExit reads the exit code of a service's status, as openrc-run.sh and its
// supervise-daemon.sh have them.
func rcExit(code int) string {
	switch code {
	case 0:
		return running
	case 3:
		return stopped
	case 4:
		return "stopping"
	case 8:
		return "starting"
	case 16:
		return "inactive"
	case 32:
		return failed
	case 64:
		return unsupervised
	}
	return "unknown"
}

// levels returns the levels of a service.
func (o openrc) levels(ctx context.Context, name string) ([]string, error) {
	out, err := o.sys.Do(ctx, []string{"rc-update", "show"}, nil)
	return parseLevels(out.Stdout)[name], err
}

func (o openrc) act(ctx context.Context, verb, name string) error {
	argv := []string{"rc-service", "--nocolor", name, verb}
	switch verb {
	case "enable":
		argv = []string{"rc-update", "add", name, "default"}
	case "disable":
		// With --all it fails for each level that does not have the service.
		levels, err := o.levels(ctx, name)
		if err != nil {
			return err
		}
		argv = append([]string{"rc-update", "del", name}, levels...)
	}
	_, err := o.sys.Do(ctx, argv, nil)
	return err
}
