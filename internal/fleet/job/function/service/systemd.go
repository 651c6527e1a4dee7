package service

import (
	"context"
	"strconv"
	"strings"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet/job/function/local"
)

type systemd struct{ sys *local.System }

func (s systemd) ctl(ctx context.Context, args ...string) (string, error) {
	out, err := s.sys.Do(ctx, append([]string{"systemctl", "--no-pager", "--no-ask-password"}, args...), nil)
	return out.Stdout, err
}

func unit(name string) string {
	if strings.Contains(name, ".") {
		for _, t := range []string{".service", ".socket", ".timer", ".target", ".path", ".mount"} {
			if strings.HasSuffix(name, t) {
				return name
			}
		}
	}
	return name + ".service"
}

func (s systemd) list(ctx context.Context) ([]Service, error) {
	units, err := s.ctl(ctx, "list-units", "--type=service", "--all", "--plain", "--no-legend", "--full")
	if err != nil {
		return nil, err
	}
	files, err := s.ctl(ctx, "list-unit-files", "--type=service", "--no-legend", "--full")
	if err != nil {
		return nil, err
	}
	all := parseUnits(units, files)
	return all, s.instances(ctx, all)
}

// instances completes what has no file of its own, as instances of templates
// have not: they are not among the files.
func (s systemd) instances(ctx context.Context, all []Service) error {
	args := []string{"show", "--property=Id,UnitFileState", "--"}
	at := map[string]int{}
	for i, v := range all {
		if v.AtBoot == "" && len(at) < maxShown {
			at[v.Name], args = i, append(args, unit(v.Name))
		}
	}
	if len(at) == 0 {
		return nil
	}
	text, err := s.ctl(ctx, args...)
	for block := range strings.SplitSeq(text, "\n\n") {
		kv := properties(block)
		if i, ok := at[short(kv["Id"])]; ok {
			all[i].AtBoot = kv["UnitFileState"]
		}
	}
	return err
}

// maxShown bounds the arguments of a program.
const maxShown = 500

// parseUnits joins rows of UNIT LOAD ACTIVE SUB DESCRIPTION with rows of
// UNIT STATE PRESET. Templates, which have no instance, are no services.
func parseUnits(units, files string) []Service {
	boot := map[string]string{}
	var all []Service
	seen := map[string]bool{}
	for line := range strings.SplitSeq(files, "\n") {
		if w := strings.Fields(line); len(w) >= 2 {
			boot[w[0]] = local.Clean(w[1])
		}
	}
	for line := range strings.SplitSeq(units, "\n") {
		w := strings.Fields(strings.TrimPrefix(line, "●"))
		if len(w) < 4 || w[1] == "not-found" {
			continue
		}
		seen[w[0]] = true
		all = append(all, Service{Name: short(w[0]), State: state(w[2], w[3]), AtBoot: boot[w[0]], Description: local.Clean(strings.Join(w[4:], " "))})
	}
	for line := range strings.SplitSeq(files, "\n") {
		w := strings.Fields(line)
		if len(w) < 2 || seen[w[0]] || strings.Contains(w[0], "@.") || w[1] == "alias" {
			continue
		}
		all = append(all, Service{Name: short(w[0]), State: stopped, AtBoot: boot[w[0]]})
	}
	return all
}

func short(unit string) string { return local.Clean(strings.TrimSuffix(unit, ".service")) }

// state is systemd's pair of states in a word.
func state(active, sub string) string {
	switch active {
	case "active":
		if sub == "exited" {
			return "exited" // it did its work, and counts as started
		}
		return running
	case "inactive":
		return stopped
	}
	return local.Clean(active)
}

func (s systemd) status(ctx context.Context, name string) (Service, error) {
	text, err := s.ctl(ctx, "show", "--property=Id,LoadState,ActiveState,SubState,UnitFileState,MainPID,Description", "--", unit(name))
	if err != nil {
		return Service{}, err
	}
	return parseShow(text, name)
}

// properties reads rows of KEY=VALUE.
func properties(text string) map[string]string {
	kv := map[string]string{}
	for line := range strings.SplitSeq(text, "\n") {
		if key, value, ok := strings.Cut(line, "="); ok {
			kv[key] = local.Clean(value)
		}
	}
	return kv
}

func parseShow(text, name string) (Service, error) {
	kv := properties(text)
	if kv["LoadState"] == "not-found" {
		return Service{}, errs.New(errs.NotFound, "this host has no service %s", name)
	}
	pid, _ := strconv.Atoi(kv["MainPID"]) // 0 is none
	return Service{Name: short(kv["Id"]), State: state(kv["ActiveState"], kv["SubState"]), AtBoot: kv["UnitFileState"], PID: pid, Description: kv["Description"]}, nil
}

func (s systemd) act(ctx context.Context, verb, name string) error {
	_, err := s.ctl(ctx, verb, "--", unit(name))
	return err
}
