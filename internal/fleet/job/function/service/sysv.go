package service

import (
	"context"
	"os"
	"path/filepath"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet/job/function/local"
)

// sysv is the scripts of /etc/init.d, with the exit codes of the Linux Standard
// Base.
type sysv struct{ sys *local.System }

// list does not run the scripts, of which there may be many: what they say of
// themselves is known by service.status.
func (v sysv) list(context.Context) ([]Service, error) {
	entries, err := os.ReadDir(v.sys.Path("etc/init.d"))
	if err != nil {
		return nil, local.FileError("reading", "/etc/init.d", err)
	}
	var all []Service
	for _, e := range entries {
		if n := e.Name(); nameForm.MatchString(n) && v.sys.Executable("etc/init.d/"+n) {
			all = append(all, Service{Name: n, State: "unknown", AtBoot: v.boot(n)})
		}
	}
	return all, nil
}

// boot looks for a link that starts the service in one of the levels 2 to 5.
func (v sysv) boot(name string) string {
	if v.linked("S", "2-5", name) {
		return enabled
	}
	return disabled
}

// linked reports whether there is a link of a kind in some levels.
func (v sysv) linked(kind, levels, name string) bool {
	for _, dir := range []string{"etc/rc[" + levels + "].d", "etc/rc.d/rc[" + levels + "].d"} {
		if links, _ := filepath.Glob(v.sys.Path(filepath.Join(dir, "["+kind+"][0-9][0-9]"+name))); len(links) > 0 {
			return true
		}
	}
	return false
}

func (v sysv) status(ctx context.Context, name string) (Service, error) {
	if !v.sys.Executable("etc/init.d/" + name) {
		return Service{}, errs.New(errs.NotFound, "this host has no service %s", name)
	}
	out, err := v.sys.Run(ctx, local.Command{Path: "/etc/init.d/" + name, Args: []string{"status"}})
	if err != nil {
		return Service{}, err
	}
	return Service{Name: name, State: lsb(out.Code), AtBoot: v.boot(name)}, nil
}

// lsb reads the exit code of a script's status.
func lsb(code int) string {
	switch code {
	case 0:
		return running
	case 1, 2:
		return failed // dead, but it left its mark
	case 3:
		return stopped
	}
	return "unknown"
}

func (v sysv) act(ctx context.Context, verb, name string) error {
	if verb == "enable" || verb == "disable" {
		return v.link(ctx, verb, name)
	}
	out, err := v.sys.Run(ctx, local.Command{Path: "/etc/init.d/" + name, Args: []string{verb}})
	if err != nil {
		return err
	}
	return out.Check(name)
}

// link has a service start at boot, or not.
func (v sysv) link(ctx context.Context, verb, name string) error {
	argv := []string{"update-rc.d", name, verb}
	if _, ok := v.sys.Look("update-rc.d"); !ok {
		argv = []string{"chkconfig", name, map[string]string{"enable": "on", "disable": "off"}[verb]}
	} else if verb == "enable" && !v.linked("SK", "0-6S", name) {
		// It changes links, and fails where there are none: a script that was
		// just put there. The levels that it names itself are its defaults.
		if _, err := v.sys.Do(ctx, []string{"update-rc.d", name, "defaults"}, nil); err != nil || v.boot(name) == enabled {
			return err
		}
	}
	_, err := v.sys.Do(ctx, argv, nil)
	return err
}
