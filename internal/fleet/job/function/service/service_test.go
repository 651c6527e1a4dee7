package service

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rind-project/rind/internal/fleet/job/function/local"
	"github.com/rind-project/rind/internal/fleet/job/function/localtest"
)

// Output as the programs write it, of a few services each.
const (
	unitsText = `ssh.service                  loaded    active   running OpenBSD Secure Shell server
systemd-modules-load.service loaded    active   exited  Load Kernel Modules
● broken.service             loaded    failed   failed  Broken \x2d thing
auditd.service               not-found inactive dead    auditd.service
apt-daily.service            loaded    inactive dead    Daily apt download activities
`
	filesText = `ssh.service          enabled  enabled
apt-daily.service    static   -
getty@.service       enabled  enabled
rsync.service        disabled enabled
sshd.service         alias    -
`
	showText = "Id=ssh.service\nLoadState=loaded\nActiveState=active\nSubState=running\nUnitFileState=enabled\nMainPID=612\nDescription=OpenBSD Secure Shell server\n"

	rcStatus = `Runlevel: default
 sshd                                      [  started 3 day(s) 02:11:09 (0) ]
 chronyd                                   [  crashed  ]
Dynamic Runlevel: manual
 nginx                                     [  stopped  ]
`
	rcLevels = "                 sshd | default\n              chronyd | default boot\n                 cron |\n"
)

func boot(t *testing.T, init string, programs ...string) *localtest.Host {
	h := localtest.New(t, programs...)
	switch init {
	case "systemd":
		h.File("run/systemd/system/x", "")
	case "openrc":
		h.File("run/openrc/softlevel", "default")
	case "sysv":
		h.File("proc/1/comm", "init\n")
	}
	return h
}

func TestSystemd(t *testing.T) {
	t.Parallel()
	h := boot(t, "systemd", "systemctl")
	const ctl = "systemctl --no-pager --no-ask-password "
	h.Answer(ctl+"list-units", local.Output{Stdout: unitsText})
	h.Answer(ctl+"list-unit-files", local.Output{Stdout: filesText})
	h.Answer(ctl+"show --property=Id,UnitFileState", local.Output{Stdout: "Id=systemd-modules-load.service\nUnitFileState=static\n\nId=broken.service\nUnitFileState=\n"})
	h.Answer(ctl+"show", local.Output{Stdout: strings.Replace(showText, "=active\nSubState=running", "=inactive\nSubState=dead", 1)}, local.Output{Stdout: showText})
	h.Answer(ctl+"start", local.Output{})
	res, err := localtest.Do(t, Runs(h.System), nil, "service.list")
	want := []Service{
		{Name: "apt-daily", State: "stopped", AtBoot: "static", Description: "Daily apt download activities"},
		{Name: "broken", State: "failed", Description: `Broken \x2d thing`},
		{Name: "rsync", State: "stopped", AtBoot: "disabled"},
		{Name: "ssh", State: "running", AtBoot: "enabled", Description: "OpenBSD Secure Shell server"},
		{Name: "systemd-modules-load", State: "exited", AtBoot: "static", Description: "Load Kernel Modules"},
	}
	if diff := cmp.Diff(any(want), res.Value); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	res, err = localtest.Do(t, Runs(h.System), nil, "service.start", "ssh")
	if c, ok := res.Value.(local.Change); err != nil || !ok || !c.Changed || c.Old.(Service).State != "stopped" || c.New.(Service).State != "running" || c.New.(Service).PID != 612 {
		t.Errorf("%+v, %v", res, err)
	}
	if ran := h.Ran(); !slices.Contains(ran, ctl+"start -- ssh.service") {
		t.Errorf("ran %q", ran)
	}
	before := len(h.Ran())
	res, err = localtest.Do(t, Runs(h.System), nil, "service.start", "ssh")
	if c := res.Value.(local.Change); err != nil || c.Changed || c.Comment != "it is running already" || len(h.Ran()) != before+1 {
		t.Errorf("%+v, %v", res, err)
	}
	h.Answer(ctl+"show", local.Output{Stdout: "Id=x.service\nLoadState=not-found\n"})
	if _, err := localtest.Do(t, Runs(h.System), nil, "service.status", "x"); err == nil || err.Error() != "this host has no service x" {
		t.Errorf("got %v", err)
	}
}

// TestAServiceThatFailsAfterItsStart has a start that systemd takes for good.
func TestAServiceThatFailsAfterItsStart(t *testing.T) {
	t.Parallel()
	h := boot(t, "systemd", "systemctl")
	const ctl = "systemctl --no-pager --no-ask-password "
	h.Answer(ctl+"show", local.Output{Stdout: strings.Replace(showText, "=active", "=inactive", 1)}, local.Output{Stdout: strings.Replace(showText, "=active", "=failed", 1)})
	h.Answer(ctl, local.Output{})
	res, err := localtest.Do(t, Runs(h.System), nil, "service.restart", "ssh")
	if err != nil || res.Failed == "" {
		t.Errorf("%+v, %v", res, err)
	}
}

func TestOpenRC(t *testing.T) {
	t.Parallel()
	h := boot(t, "openrc", "rc-status", "rc-service", "rc-update")
	h.Program("etc/init.d/nginx")
	h.Answer("rc-status --all", local.Output{Stdout: rcStatus})
	h.Answer("rc-service --list", local.Output{Stdout: "chronyd\ncron\nnginx\nsshd\n"})
	h.Answer("rc-update show", local.Output{Stdout: rcLevels}, local.Output{Stdout: rcLevels}, local.Output{Stdout: rcLevels}, local.Output{Stdout: rcLevels}, local.Output{Stdout: rcLevels + "nginx | default\n"})
	h.Answer("rc-service --nocolor nginx status", local.Output{Code: 3}, local.Output{Code: 0})
	h.Answer("rc-service --nocolor nginx start", local.Output{})
	h.Answer("rc-update add nginx default", local.Output{})
	res, err := localtest.Do(t, Runs(h.System), nil, "service.list")
	want := []Service{{Name: "chronyd", State: "failed", AtBoot: "enabled"}, {Name: "cron", State: "stopped", AtBoot: "disabled"},
		{Name: "nginx", State: "stopped", AtBoot: "disabled"}, {Name: "sshd", State: "running", AtBoot: "enabled"}}
	if diff := cmp.Diff(any(want), res.Value); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	for _, verb := range []string{"start", "enable"} {
		if res, err := localtest.Do(t, Runs(h.System), nil, "service."+verb, "nginx"); err != nil || !res.Value.(local.Change).Changed {
			t.Errorf("%s: %+v, %v", verb, res, err)
		}
	}
	if _, err := localtest.Do(t, Runs(h.System), nil, "service.status", "absent"); err == nil || !strings.Contains(err.Error(), "no service absent") {
		t.Errorf("got %v", err)
	}
}

func TestSysV(t *testing.T) {
	t.Parallel()
	h := boot(t, "sysv", "update-rc.d")
	h.Program("etc/init.d/ssh")
	h.Program("etc/init.d/cron")
	h.File("etc/init.d/README", "no program")
	h.File("etc/rc3.d/x", "")
	if err := os.Symlink("../init.d/ssh", h.Path("etc/rc3.d/S01ssh")); err != nil {
		t.Fatal(err)
	}
	res, err := localtest.Do(t, Runs(h.System), nil, "service.list")
	want := []Service{{Name: "cron", State: "unknown", AtBoot: "disabled"}, {Name: "ssh", State: "unknown", AtBoot: "enabled"}}
	if diff := cmp.Diff(any(want), res.Value); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	h.Answer("cron status", local.Output{Code: 3}, local.Output{Code: 3}, local.Output{})
	h.Answer("cron start", local.Output{Code: 1, Stderr: "no such thing"}, local.Output{})
	if _, err := localtest.Do(t, Runs(h.System), nil, "service.start", "cron"); err == nil || err.Error() != "cron ended with exit code 1: no such thing" {
		t.Errorf("got %v", err)
	}
	if res, err := localtest.Do(t, Runs(h.System), nil, "service.start", "cron"); err != nil || res.Value.(local.Change).New.(Service).State != "running" {
		t.Errorf("%+v, %v", res, err)
	}
	h.Answer("update-rc.d", local.Output{}) // it makes no link
	if res, err := localtest.Do(t, Runs(h.System), nil, "service.enable", "cron"); err != nil || res.Failed == "" || res.Value.(local.Change).Changed {
		t.Errorf("%+v, %v", res, err)
	}
	if ran := h.Ran(); !slices.Contains(ran, "update-rc.d cron defaults") || !slices.Contains(ran, "update-rc.d cron enable") {
		t.Errorf("ran %q", ran)
	}
	if res, err := localtest.Do(t, Runs(h.System), nil, "service.enable", "ssh", "test=true"); err == nil && res.Value.(local.Change).Changed {
		t.Errorf("%+v", res)
	}
}

func TestNoServices(t *testing.T) {
	t.Parallel()
	h := boot(t, "none", "systemctl")
	h.File("proc/1/comm", "tini\n")
	for _, args := range [][]string{{"service.list"}, {"service.status", "ssh"}, {"service.start", "ssh"}} {
		_, err := localtest.Do(t, Runs(h.System), nil, args[0], args[1:]...)
		if err == nil || !strings.Contains(err.Error(), `started by "tini", and not by systemd`) {
			t.Errorf("%q: %v", args, err)
		}
	}
}

func TestHostileNames(t *testing.T) {
	t.Parallel()
	h := boot(t, "sysv")
	for _, name := range []string{"-a", "../../bin/sh", "a/b", "a b", "a;b", "..", "a..b", "$x", "", strings.Repeat("x", 200)} {
		if _, err := localtest.Do(t, Runs(h.System), nil, "service.stop", name); err == nil || !strings.Contains(err.Error(), "no name of a service") {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// TestThisHost has a list, or says plainly why there is none.
func TestThisHost(t *testing.T) {
	t.Parallel()
	res, err := localtest.Do(t, Runs(local.Host()), nil, "service.list")
	if err != nil && !strings.Contains(err.Error(), "this host runs no services that can be asked") {
		t.Errorf("got %v", err)
	}
	if err == nil && len(res.Value.([]Service)) == 0 {
		t.Error("there are no services")
	}
}

func FuzzParse(f *testing.F) {
	f.Add(unitsText, filesText)
	f.Add(showText, rcStatus)
	f.Add(rcLevels, "●\n[ ] [\n]")
	f.Fuzz(func(t *testing.T, a, b string) {
		for _, s := range append(parseUnits(a, b), parseOpenRC(a, b, a)...) {
			if strings.ContainsAny(s.Name+s.State+s.AtBoot+s.Description, "\n\x1b") {
				t.Errorf("%+v", s)
			}
		}
		_, _ = parseShow(a, "x")
	})
}
