package job_test

import (
	"crypto/ed25519"
	"strings"
	"testing"
	"time"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet/job"
)

// A peel checks the scope of the key that signed a job with nothing but its
// own id: a scope that needs more would refuse every job, so it is refused
// where it is made.
func TestAScopeIsOfIDs(t *testing.T) {
	t.Parallel()
	for scope, says := range map[string]string{
		"*": "", "web-*": "", "L@a,b": "", "E@^web[0-9]+$": "", "web-* and not L@web-01": "", "(a or b*) and not c": "",
		"G@os:Debian": `"G@os:Debian" at column 1`, "P@kernel:^6": "P@kernel", "S@10.0.0.0/8": "S@10.0.0.0/8", "I@role:web": "I@role",
		"N@web": "N@web", "web-* and G@os:Debian": "at column 11", "not N@web": "N@web", "web-* or N@web": "N@web",
	} {
		_, err := job.Delegate(keyOf(1), job.Delegation{Key: keyOf(2).Public().(ed25519.PublicKey), Scope: scope, NotAfter: now.Add(time.Hour)})
		switch {
		case says == "" && err != nil:
			t.Errorf("%s: %v", scope, err)
		case says != "" && (!errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), "of ids can")):
			t.Errorf("%s: %v", scope, err)
		}
	}
}
