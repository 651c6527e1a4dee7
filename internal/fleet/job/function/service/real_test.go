package service

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/rind-project/rind/internal/fleet/job/function/hosttest"
	"github.com/rind-project/rind/internal/fleet/job/function/local"
	"github.com/rind-project/rind/internal/fleet/job/function/localtest"
)

// An initSystem is a real one, which runs the host of a test. It has the services
// rind-probe, which sleeps, leaves its number in /run/rind-probe.pid and knows
// a reload that makes /run/reloaded, and rind-fails, whose start fails with the
// word "deliberately".
type initSystem struct {
	listed  string // the state of a stopped service in lists
	started string // and of one that runs
	killed  string // the state of one whose process was killed
	pid     bool   // it tells the process
}

// real holds the functions to what the init system does.
func (i initSystem) real(t *testing.T) {
	if got := i.row(t); got.State != i.listed || got.AtBoot != disabled {
		t.Errorf("at first the list has %+v", got)
	}
	i.starts(t)
	i.boots(t)
	i.dies(t)
	i.refuses(t)
}

func (i initSystem) starts(t *testing.T) {
	i.is(t, stopped, disabled)
	if c := changed(t, "service.start", true, "test=true"); !c.Test {
		t.Errorf("%+v", c)
	}
	i.is(t, stopped, disabled)
	changed(t, "service.start", true)
	changed(t, "service.start", false)
	i.is(t, running, disabled)
	if got := i.row(t); got.State != i.started {
		t.Errorf("the list has %+v", got)
	}
	first := pidFile(t)
	changed(t, "service.reload", true)
	if _, err := os.Stat("/run/reloaded"); err != nil || pidFile(t) != first {
		t.Errorf("after a reload it is process %d, no more %d, and %v", pidFile(t), first, err)
	}
	changed(t, "service.restart", true)
	if i.is(t, running, disabled); pidFile(t) == first {
		t.Errorf("after a restart it is process %d still", first)
	}
	changed(t, "service.stop", true)
	changed(t, "service.stop", false)
	i.is(t, stopped, disabled)
	changed(t, "service.restart", true) // which starts it
	i.is(t, running, disabled)
	changed(t, "service.stop", true)
}

func (i initSystem) boots(t *testing.T) {
	for range 2 {
		changed(t, "service.enable", true, "test=true")
		i.is(t, stopped, disabled)
		changed(t, "service.enable", true)
		changed(t, "service.enable", false)
		i.is(t, stopped, enabled)
		if got := i.row(t); got.AtBoot != enabled {
			t.Errorf("the list has %+v", got)
		}
		changed(t, "service.disable", true)
		changed(t, "service.disable", false)
		i.is(t, stopped, disabled)
	}
}

// dies has the process of the service killed under it.
func (i initSystem) dies(t *testing.T) {
	changed(t, "service.start", true)
	p, err := os.FindProcess(pidFile(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(time.Minute); status0(t).State == running && time.Now().Before(end); {
		time.Sleep(20 * time.Millisecond)
	}
	i.is(t, i.killed, disabled)
	if i.killed == unsupervised {
		res, err := localtest.Do(t, Runs(local.Host()), nil, "service.start", "rind-probe")
		if err != nil || res.Failed != "the service is unsupervised after its start" {
			t.Errorf("%+v, %v", res, err)
		}
		changed(t, "service.stop", true)
	}
	changed(t, "service.start", true)
	i.is(t, running, disabled)
	changed(t, "service.stop", true)
	i.is(t, stopped, disabled)
}

func (i initSystem) refuses(t *testing.T) {
	for _, verb := range []string{"status", "start", "stop", "restart", "reload", "enable", "disable"} {
		_, err := localtest.Do(t, Runs(local.Host()), nil, "service."+verb, "rind-absent")
		if err == nil || err.Error() != "this host has no service rind-absent" {
			t.Errorf("%s: %v", verb, err)
		}
	}
	for _, verb := range []string{"start", "restart"} {
		res, err := localtest.Do(t, Runs(local.Host()), nil, "service."+verb, "rind-fails")
		if text := fmt.Sprint(err, res.Failed); !strings.Contains(text, "deliberately") && !strings.Contains(text, "fail") || err == nil && res.Failed == "" {
			t.Errorf("%s of what fails gave %+v, %v", verb, res, err)
		}
	}
}

func status0(t *testing.T) Service {
	t.Helper()
	res, err := localtest.Do(t, Runs(local.Host()), nil, "service.status", "rind-probe")
	if err != nil {
		t.Fatal(err)
	}
	return res.Value.(Service)
}

// is holds the status of rind-probe to a state.
func (i initSystem) is(t *testing.T, state, boot string) {
	t.Helper()
	got, want := status0(t), Service{Name: "rind-probe", State: state, AtBoot: boot}
	if i.pid && state == running {
		want.PID = pidFile(t)
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(Service{}, "Description")); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}
}

// row is what the list has of it.
func (i initSystem) row(t *testing.T) Service {
	t.Helper()
	res, err := localtest.Do(t, Runs(local.Host()), nil, "service.list")
	if err != nil {
		t.Fatal(err)
	}
	all := res.Value.([]Service)
	at := slices.IndexFunc(all, func(v Service) bool { return v.Name == "rind-probe" })
	if at < 0 {
		t.Fatalf("it is not among %+v", all)
	}
	return all[at]
}

func changed(t *testing.T, name string, want bool, args ...string) local.Change {
	t.Helper()
	res, err := localtest.Do(t, Runs(local.Host()), nil, name, append([]string{"rind-probe"}, args...)...)
	if err != nil || res.Failed != "" {
		t.Fatalf("%s: %v, %s", name, err, res.Failed)
	}
	c := res.Value.(local.Change)
	if c.Changed != want {
		t.Errorf("%s %q gave %+v", name, args, c)
	}
	return c
}

func pidFile(t *testing.T) int {
	t.Helper()
	b, err := os.ReadFile("/run/rind-probe.pid")
	n, bad := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil || bad != nil {
		t.Fatal(err, bad)
	}
	return n
}

// lsbScript is a script as Debian has them, with the body of a start.
func lsbScript(name, start string) string {
	return `#!/bin/sh
### BEGIN INIT INFO
# Provides: ` + name + `
# Required-Start:
# Required-Stop:
# Default-Start: 2 3 4 5
# Default-Stop: 0 1 6
# Short-Description: a test
### END INIT INFO
pid=/run/` + name + `.pid
case $1 in
start) ` + start + ` ;;
stop) start-stop-daemon --stop --oknodo --retry 10 --pidfile $pid --remove-pidfile ;;
restart) $0 stop && $0 start ;;
reload) touch /run/reloaded ;;
status) start-stop-daemon --status --pidfile $pid ;;
*) echo "Usage: $0 {start|stop|restart|reload|status}" >&2; exit 2 ;;
esac
`
}

func TestRealSysV(t *testing.T) {
	t.Parallel()
	hosttest.Run(t, hosttest.Setup{
		Programs: []string{"/usr/sbin/update-rc.d", "/usr/sbin/start-stop-daemon"},
		Debs:     []string{"sysvinit-core", "sysv-rc", "insserv", "startpar"},
		Init:     []string{"/sbin/init"},
		Files: map[string]string{
			"/etc/inittab":           "id:2:initdefault:\nt:2:once:" + hosttest.Script + "\n",
			"/etc/init.d/rind-probe": lsbScript("rind-probe", "start-stop-daemon --start --background --make-pidfile --pidfile $pid --exec /bin/sleep -- 1000"),
			"/etc/init.d/rind-fails": lsbScript("rind-fails", "echo deliberately >&2; exit 1"),
		},
	}, func(t *testing.T) {
		initSystem{listed: "unknown", started: "unknown", killed: failed}.real(t)
	})
}

func TestRealOpenRC(t *testing.T) {
	t.Parallel()
	hosttest.Run(t, hosttest.Setup{
		Debs: []string{"openrc", "libeinfo1", "librc1", "insserv", "sysvinit-core"},
		Init: []string{"/sbin/init"},
		Files: map[string]string{
			"/etc/inittab":                 "id:2:initdefault:\nsi::sysinit:/sbin/openrc sysinit\nrc::bootwait:/sbin/openrc boot\nl2:2:wait:/sbin/openrc default\nt:2:once:" + hosttest.Script + "\n",
			"/etc/runlevels/sysinit/.keep": "", "/etc/runlevels/boot/.keep": "", "/etc/runlevels/default/.keep": "", "/etc/runlevels/shutdown/.keep": "",
			"/etc/init.d/rind-probe": `#!/sbin/openrc-run
supervisor=supervise-daemon
command=/bin/sleep
command_args=1000
pidfile=/run/rind-probe.pid
extra_started_commands=reload
reload() { touch /run/reloaded; }
`,
			"/etc/init.d/rind-fails": "#!/sbin/openrc-run\nstart() { eerror deliberately; return 1; }\n",
		},
	}, func(t *testing.T) {
		initSystem{listed: stopped, started: running, killed: unsupervised}.real(t)
	})
}

func TestRealSystemd(t *testing.T) {
	t.Parallel()
	const (
		units = "/etc/systemd/system/"
		alone = "[Unit]\nDefaultDependencies=no\n" // nothing else of the machine is started
	)
	hosttest.Run(t, hosttest.Setup{
		Programs: []string{"/lib/systemd/systemd", "/usr/bin/systemctl"},
		Init:     []string{"/lib/systemd/systemd", "--system", "--unit=rind.target", "--log-target=console"},
		Hide:     []string{"/lib/systemd/system-generators"}, // they run at each change of a link
		Cgroup:   true,
		Files: map[string]string{
			units + "rind.target":        alone + "Wants=rind-test.service\n",
			units + "rind-test.service":  alone + "[Service]\nType=oneshot\nExecStart=" + hosttest.Script + "\n",
			units + "rind-probe.service": alone + "[Service]\nType=forking\nPIDFile=/run/rind-probe.pid\nExecStart=/bin/sh -c 'sleep 1000 & echo $! >/run/rind-probe.pid'\nExecReload=/bin/touch /run/reloaded\n[Install]\nWantedBy=rind.target\n",
			units + "rind-once.service":  alone + "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\n",
			units + "rind-at@.service":   alone + "Description=A test, %i\n[Service]\nExecStart=/bin/sleep 1000\n[Install]\nWantedBy=rind.target\n",
			units + "rind-mask.service":  alone + "[Service]\nExecStart=/bin/sleep 1000\n",
			units + "rind-fails.service": alone + "[Service]\nType=oneshot\nExecStart=/bin/sh -c 'echo deliberately >&2; exit 1'\n",
		},
	}, func(t *testing.T) {
		initSystem{listed: stopped, started: running, killed: failed, pid: true}.real(t)
		systemdOnly(t)
	})
}

// systemdOnly is what the other ones do not have: units that are masked, that
// nothing enables, that stay without a process, and instances.
func systemdOnly(t *testing.T) {
	if err := os.Remove("/etc/systemd/system/rind-mask.service"); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), "systemctl", "mask", "rind-mask").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	do := func(name string, args ...string) (any, string) {
		res, err := localtest.Do(t, Runs(local.Host()), nil, name, args...)
		if err != nil {
			return nil, err.Error()
		}
		return res.Value, res.Failed
	}
	says := func(want, name string, args ...string) {
		t.Helper()
		if v, text := do(name, args...); want == "" && text != "" || !strings.Contains(text, want) {
			t.Errorf("%s %q gave %+v and %q, not %q", name, args, v, text, want)
		}
	}
	status := func(name string, want Service) {
		t.Helper()
		v, text := do("service.status", name)
		if got, ok := v.(Service); !ok || got.Name != want.Name || got.State != want.State || got.AtBoot != want.AtBoot || got.PID != 0 != (want.PID != 0) {
			t.Errorf("status of %s is %+v, %q", name, v, text)
		}
	}
	status("rind-mask", Service{Name: "rind-mask", State: stopped, AtBoot: "masked"})
	says("masked", "service.start", "rind-mask")
	says("masked", "service.enable", "rind-mask")
	says("it is static", "service.enable", "rind-once")
	status("rind-once", Service{Name: "rind-once", State: stopped, AtBoot: "static"})
	says("", "service.start", "rind-once")
	status("rind-once.service", Service{Name: "rind-once", State: "exited", AtBoot: "static"})
	if v, text := do("service.start", "rind-once"); text != "" || v.(local.Change).Changed {
		t.Errorf("%+v, %s", v, text)
	}
	says("not applicable", "service.reload", "rind-once")
	says("", "service.start", "rind-at@1")
	says("", "service.enable", "rind-at@1")
	status("rind-at@1", Service{Name: "rind-at@1", State: running, AtBoot: enabled, PID: 1})
	v, text := do("service.list", "state=running")
	if all, ok := v.([]Service); !ok || !slices.ContainsFunc(all, func(v Service) bool {
		return v == Service{Name: "rind-at@1", State: running, AtBoot: enabled, Description: "A test, 1"}
	}) {
		t.Errorf("%+v, %s", v, text)
	}
	v, text = do("service.list")
	if all, ok := v.([]Service); !ok || !slices.ContainsFunc(all, func(v Service) bool { return v.Name == "rind-mask" && v.AtBoot == "masked" }) ||
		slices.ContainsFunc(all, func(v Service) bool { return strings.HasSuffix(v.Name, "@") }) {
		t.Errorf("%+v, %s", v, text)
	}
}
