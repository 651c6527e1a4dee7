// Package service holds the functions that look at services, start and stop
// them, with a provider for each init system. Which one runs the host counts,
// not which are installed.
package service

import (
	"context"
	"regexp"
	"slices"
	"strings"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet/job/function/local"
	"github.com/rind-project/rind/internal/fleet/job/function/schema"
)

// Service is the state of a service. State is "running", "stopped", "failed",
// or a word of the init system.
type Service struct {
	Name        string `json:"name"`
	State       string `json:"state"`
	AtBoot      string `json:"at_boot"` // "enabled", "disabled", or a word of the init system
	PID         int    `json:"pid,omitempty"`
	Description string `json:"description,omitempty"`
}

// provider is an init system.
type provider interface {
	list(context.Context) ([]Service, error)
	status(ctx context.Context, name string) (Service, error)
	// act does start, stop, restart, reload, enable or disable.
	act(ctx context.Context, verb, name string) error
}

// Runs are the functions service.*.
func Runs(s *local.System) map[string]schema.Run {
	runs := map[string]schema.Run{"service.list": list(s), "service.status": status(s)}
	for _, verb := range []string{"start", "stop", "restart", "reload", "enable", "disable"} {
		runs["service."+verb] = change(s, verb)
	}
	return runs
}

// find returns the provider of the init system that runs the host.
func find(s *local.System) (provider, error) {
	comm := s.Line("proc/1/comm")
	switch {
	case s.Exists("run/systemd/system"):
		return systemd{s}, nil
	case s.Exists("run/openrc"):
		return openrc{s}, nil
	case comm == "init" && s.Exists("etc/init.d"):
		return sysv{s}, nil
	}
	if comm == "" {
		comm = "something unknown"
	}
	return nil, errs.New(errs.Unavailable, "this host runs no services that can be asked: it was started by %s, and not by systemd, OpenRC or a System V init", schema.Clip(comm))
}

// nameForm is what a service can be called: with an instance behind @, and with
// systemd's escapes. It cannot begin like an option.
var nameForm = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9:_.@\\+-]{0,127}$`)

func named(args schema.Values) (string, error) {
	name := args.Text("name")
	if !nameForm.MatchString(name) || strings.Contains(name, "..") {
		return "", errs.New(errs.Invalid, "%s is no name of a service", schema.Clip(name))
	}
	return name, nil
}

func list(s *local.System) schema.Run {
	return func(ctx context.Context, c schema.Call) (schema.Result, error) {
		p, err := find(s)
		if err != nil {
			return schema.Result{}, err
		}
		all, err := p.list(ctx)
		if err != nil {
			return schema.Result{}, err
		}
		if want := c.Args.Text("state"); want != "" {
			all = slices.DeleteFunc(all, func(v Service) bool { return v.State != want })
		}
		slices.SortFunc(all, func(a, b Service) int { return strings.Compare(a.Name, b.Name) })
		return schema.Result{Value: append([]Service{}, all[:min(len(all), local.MaxRows)]...)}, nil
	}
}

func status(s *local.System) schema.Run {
	return func(ctx context.Context, c schema.Call) (schema.Result, error) {
		name, err := named(c.Args)
		if err != nil {
			return schema.Result{}, err
		}
		p, err := find(s)
		if err != nil {
			return schema.Result{}, err
		}
		v, err := p.status(ctx, name)
		return schema.Result{Value: v}, err
	}
}

func change(s *local.System, verb string) schema.Run {
	return func(ctx context.Context, c schema.Call) (schema.Result, error) {
		name, err := named(c.Args)
		if err != nil {
			return schema.Result{}, err
		}
		p, err := find(s)
		if err != nil {
			return schema.Result{}, err
		}
		before, err := p.status(ctx, name)
		if err != nil {
			return schema.Result{}, err
		}
		out := local.Change{Changed: true, Test: c.Args.Bool("test"), Old: before}
		if is := already(verb, before); is != "" {
			out.Changed = false
			return schema.Result{Value: out.Commentf("it is %s already", is)}, nil
		}
		if out.Test {
			return schema.Result{Value: out}, nil
		}
		if err := p.act(ctx, verb, name); err != nil {
			return schema.Result{}, err
		}
		after, err := p.status(ctx, name)
		if err != nil {
			return schema.Result{}, err
		}
		out.New = after
		if verb == "enable" || verb == "disable" {
			out.Changed = before.AtBoot != after.AtBoot
		}
		return schema.Result{Value: out, Failed: outcome(verb, out.Changed, after)}, nil
	}
}

// already says that there is nothing to do.
func already(verb string, v Service) string {
	switch {
	case verb == "start" && (v.State == running || v.State == "exited"), verb == "stop" && v.State == stopped:
		return v.State
	case verb == "enable" && v.AtBoot == enabled, verb == "disable" && v.AtBoot == disabled:
		return v.AtBoot
	}
	return ""
}

// outcome says that a service is not what it was told to be, though the init
// system had nothing to say against it: one that ends right after its start, or
// a unit that systemd does not enable because it says nothing of when.
func outcome(verb string, changed bool, v Service) string {
	switch verb {
	case "start", "restart":
		if v.State == failed || v.State == unsupervised {
			return "the service is " + v.State + " after its start"
		}
	case "stop":
		if v.State == running {
			return "the service runs still"
		}
	case "enable", "disable":
		if !changed {
			return "whether it starts at boot did not change: it is " + v.AtBoot
		}
	}
	return ""
}

// The words for states.
const (
	running  = "running"
	stopped  = "stopped"
	failed   = "failed"
	enabled  = "enabled"
	disabled = "disabled"
)
