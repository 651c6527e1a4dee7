package cli_test

import (
	"strings"
	"testing"

	"github.com/rind-project/rind/internal/fleet"
)

func TestRollout(t *testing.T) {
	t.Parallel()
	s := hosts(t)
	term := on(t, s)
	golden(t, "rollout", term.transcript(t,
		[]string{"run", "--dry-run", "--batch", "50%", "*", "test.ping"},
		[]string{"-b", "2", "--max-failures", "1", "web-*", "test.ping"},
		[]string{"run", "--async", "web-*", "test.ping"},
		[]string{"run", "--async", "-o", "json", "web-01", "test.ping"},
		[]string{"-L", "web-01,web-1", "test.ping"},
		[]string{"run", "-t", "5", "--slice-pause", "1m30s", "web-01", "test.ping"},
		[]string{"run", "-t", "soon", "web-01", "test.ping"},
		[]string{"run", "--async", "--at", "in 15m", "web-01", "test.ping"},
		[]string{"run", "--batch", "ten", "*", "test.ping"},
		[]string{"run", "--batch", "0", "*", "test.ping"},
		[]string{"run", "--max-failures", "0", "web-01", "test.ping"},
		[]string{"run", "--at", "yesterday", "*", "test.ping"},
		[]string{"run", "--batch", "2", "--slices", "3", "*", "test.ping"},
		[]string{"job", "watch", "01980c6e-0000-7000-8000-000000000001"},
		[]string{"job", "cancel", "01980c6e-0000-7000-8000-000000000001"},
		[]string{"job", "retry", "01980c6e-0000-7000-8000-000000000001"},
		[]string{"job", "retry", "none"},
	))
	running := s.Fleet.Unfinished(fleet.JobRunning).JID
	for _, step := range []struct{ verb, want string }{
		{"pause", "paused: by uid:"}, {"resume", "the job is running"}, {"cancel", "cancelled: by uid:"},
	} {
		if code, stdout, stderr := term.run(t, "job", step.verb, running); code != 0 || !strings.Contains(stdout, step.want) {
			t.Errorf("%s: exit code %d: %s%s", step.verb, code, stdout, stderr)
		}
	}
}
