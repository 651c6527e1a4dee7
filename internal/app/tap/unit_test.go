package tap

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestUnit has systemd look at the unit: that it is right, and how far it opens
// the host (0 is not at all, 100 is not held by anything).
func TestUnit(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../../deploy/systemd/rind-tap.service")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"\nExecReload=/bin/kill -HUP $MAINPID\n", "\nKillMode=mixed\n", "CAP_NET_RAW", " AF_PACKET\n"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the unit has no %q", want)
		}
	}
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skipf("skipped: %v", err)
	}
	// The binary is where this host has none.
	path := filepath.Join(t.TempDir(), "rind-tap.service")
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(string(text), "/usr/local/bin/rind-tap", os.Args[0])), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(analyze, "verify", path).CombinedOutput(); err != nil || strings.Contains(string(out), "rind-tap.service:") {
		t.Errorf("systemd-analyze verify: %v: %s", err, out)
	}
	if out, err := exec.Command(analyze, "security", "--offline=true", "--threshold=35", path).CombinedOutput(); err != nil {
		t.Errorf("systemd-analyze security: %v: %s", err, out)
	}
}
