package schema

import (
	"strings"
	"testing"
)

func TestCheck(t *testing.T) {
	t.Parallel()
	for _, good := range [][]string{{"test.ping"}, {"cmd.run", "ls -l"}, {"grains.get", "os"}} {
		if err := Check(good[0], good[1:]); err != nil {
			t.Errorf("%v: %v", good, err)
		}
	}
	for want, bad := range map[string][]string{
		"did you mean test.ping?": {"ping"}, "did you mean cmd.run?": {"cmd.rum", "ls"}, "needs COMMAND": {"cmd.run"},
		"no function": {strings.Repeat("x", 1000)},
	} {
		if err := Check(bad[0], bad[1:]); err == nil || !strings.Contains(err.Error(), want) || len(err.Error()) > 300 {
			t.Errorf("%.60v: %v", bad, err)
		}
	}
}
