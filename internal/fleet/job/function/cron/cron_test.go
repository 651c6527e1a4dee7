package cron

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rind-project/rind/internal/fleet/job/function/localtest"
)

func TestList(t *testing.T) {
	t.Parallel()
	h := localtest.New(t)
	h.File("etc/crontab", "SHELL=/bin/sh\n# m h dom mon dow user command\n17 *\t* * *\troot\tcd / && run-parts /etc/cron.hourly\n@reboot www /srv/start\x1b[2J\n5 4\n")
	h.File("etc/cron.d/php", "09,39 * * * * root [ -x /usr/lib/php ] && true\n")
	h.File("etc/cron.d/.placeholder", "* * * * * root no\n")
	h.File("var/spool/cron/crontabs/alice", "MAILTO=x\n*/5 * * * * /home/alice/bin/sync  --all\n")
	h.File("var/spool/cron/bob", "0 3 * * 1 backup\n")
	h.Program("etc/cron.daily/logrotate")
	h.File("etc/cron.daily/README", "no program")
	h.Program("etc/periodic/weekly/apk")
	res, err := localtest.Do(t, Runs(h.System), nil, "cron.list")
	want := []Entry{
		{"root", "17 * * * *", "cd / && run-parts /etc/cron.hourly", "/etc/crontab", 3},
		{"www", "@reboot", "/srv/start[2J", "/etc/crontab", 4},
		{"root", "09,39 * * * *", "[ -x /usr/lib/php ] && true", "/etc/cron.d/php", 1},
		{"alice", "*/5 * * * *", "/home/alice/bin/sync  --all", "/var/spool/cron/crontabs/alice", 2},
		{"bob", "0 3 * * 1", "backup", "/var/spool/cron/bob", 1},
		{"root", "@daily", "/etc/cron.daily/logrotate", "/etc/cron.daily", 0},
		{"root", "@weekly", "/etc/periodic/weekly/apk", "/etc/periodic/weekly", 0},
	}
	if diff := cmp.Diff(any(want), res.Value); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	res, err = localtest.Do(t, Runs(h.System), nil, "cron.list", "user=alice")
	if all := res.Value.([]Entry); err != nil || len(all) != 1 {
		t.Errorf("%+v, %v", all, err)
	}
	res, err = localtest.Do(t, Runs(localtest.New(t).System), nil, "cron.list")
	if all := res.Value.([]Entry); err != nil || len(all) != 0 {
		t.Errorf("a host without cron: %+v, %v", all, err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("17 * * * * root true", "")
	f.Add("@daily x", "alice")
	f.Add("* * *", "")
	f.Fuzz(func(t *testing.T, line, user string) {
		if e, ok := parse(line, user); ok && (e.Command == "" || strings.ContainsAny(e.Command+e.Schedule+e.User, "\n\x1b")) {
			t.Errorf("%+v", e)
		}
	})
}
