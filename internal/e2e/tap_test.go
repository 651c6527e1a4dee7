package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// TestTapFindsItsFiles starts a tap with relative paths in its configuration.
// They are relative to the file, wherever the tap is started, and the parsing
// process, which works in its data folder as another user, finds them too.
func TestTapFindsItsFiles(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("skipped: capturing needs root")
	}
	w := newWorld(t)
	etc := filepath.Join(w.dir, "etc")
	if err := os.Mkdir(etc, 0o755); err != nil {
		t.Fatal(err)
	}
	ca, err := os.ReadFile(filepath.Join(w.dir, "pki", "ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"token":  w.addTap(t, "edge") + "\n",
		"ca.pem": string(ca),
		"tap.yaml": fmt.Sprintf("data_dir: ../edge\ninterfaces: [lo]\nspool: {dir: ../edge/queue}\nreport: {interval: 1s}\n"+
			"node: {urls: [%q], token_file: token, ca_file: ./ca.pem}\n", w.url),
	} {
		path := filepath.Join(etc, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(path, 65534, 65534); err != nil { // a file of the user that parses
			t.Fatal(err)
		}
	}
	elsewhere := t.TempDir()
	env, err := exec.LookPath("env")
	if err != nil {
		t.Fatal(err)
	}
	p := start(t, "", nil, env, "-C", elsewhere, program(t, "rind-tap"), "run", "--config", filepath.Join(etc, "tap.yaml"), "--set", "user=nobody")
	eventually(t, 30*time.Second, "a report is committed", func() error {
		var taps struct{ Taps []struct{ Reports int } }
		if err := w.get("/taps", &taps); err != nil {
			return err
		}
		if len(taps.Taps) != 1 || taps.Taps[0].Reports == 0 {
			return errors.New(p.errOut.String())
		}
		return nil
	})
	if _, err := os.Stat(filepath.Join(w.dir, "edge", "queue")); err != nil {
		t.Errorf("the spool is elsewhere: %v", err)
	}
	for _, dir := range []string{elsewhere, etc} {
		if made, _ := filepath.Glob(filepath.Join(dir, "*edge*")); len(made) > 0 {
			t.Errorf("made: %v", made)
		}
	}
}
