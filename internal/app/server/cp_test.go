package server

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rind-project/rind/internal/cli"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/peel"
)

// rind runs a command line on the machine of the server.
func (r *running) rind(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	var out, errOut bytes.Buffer
	code = cli.Main(ctx, args, cli.Options{
		In: strings.NewReader(""), Out: &out, Err: &errOut, Sockets: []string{r.cfg.socketPath()}, Login: filepath.Join(t.TempDir(), "login.yaml"),
		Env: func(string) string { return "" },
	})
	return code, out.String(), errOut.String()
}

// onHost starts the peel of an enrolled host.
func (r *running) onHost(t *testing.T, id fleet.PeelID) {
	t.Helper()
	identity := r.enroll(t, id)
	p := peel.New(peel.Config{StateDir: t.TempDir(), Settings: peel.SettingsConfig{Jitter: 50 * time.Millisecond}}, peel.Deps{Identity: identity, Version: "test"})
	if err := p.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := p.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	for end := time.Now().Add(20 * time.Second); !p.Connected(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the host does not come")
		}
	}
}

// writeRandom makes a file of so many bytes.
func writeRandom(t *testing.T, path string, size int64) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := io.CopyN(f, rand.NewChaCha8([32]byte{7}), size); err != nil {
		t.Fatal(err)
	}
}

func equalFiles(t *testing.T, a, b string) bool {
	t.Helper()
	x, err := os.ReadFile(a)
	if err != nil {
		t.Error(err)
	}
	y, err := os.ReadFile(b)
	if err != nil {
		t.Error(err)
	}
	return len(x) > 0 && bytes.Equal(x, y)
}

// TestCopyFromTheCommandLine brings a file to a host and fetches it again, over
// a whole server: 20 MB, and 300 MB in the nightly run.
func TestCopyFromTheCommandLine(t *testing.T) {
	t.Parallel()
	size, cfg := int64(20<<20), testConfig(dataDir(t))
	if os.Getenv("RIND_NIGHTLY") != "" {
		size, cfg.NATS.JetStream.MaxFileStore = 300<<20, "8GiB"
	}
	r := start(t, cfg)
	r.onHost(t, "web-01")
	dir := t.TempDir()
	local, there := filepath.Join(dir, "app.tar"), filepath.Join(dir, "there.tar")
	writeRandom(t, local, size+11)
	code, stdout, stderr := r.rind(t, "cp", local, "web-*:"+there, "--mode", "0600", "--timeout", "4m")
	if code != 0 || !strings.Contains(stdout, "1 targeted, 1 answered, 0 failed, 0 missing") || !equalFiles(t, local, there) {
		t.Fatalf("exit code %d\n%s%s", code, stdout, stderr)
	}
	code, stdout, stderr = r.rind(t, "cp", "web-*:"+there, filepath.Join(dir, "back"), "--timeout", "4m")
	if code != 0 || !equalFiles(t, local, filepath.Join(dir, "back", "web-01", "there.tar")) {
		t.Fatalf("exit code %d\n%s%s", code, stdout, stderr)
	}
	// Settings and groups too, as somebody would type them.
	layer := filepath.Join(dir, "web.yaml")
	if err := os.WriteFile(layer, []byte("role: web\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, line := range [][]string{
		{"group", "set", "web", "web-*"},
		{"settings", "layer", "set", "web", "--target", "N@web", "-f", layer},
		{"run", "N@web and I@role:web", "settings.refresh"},
	} {
		if code, stdout, stderr := r.rind(t, line...); code != 0 {
			t.Fatalf("%v: exit code %d\n%s%s", line, code, stdout, stderr)
		}
	}
	if code, stdout, stderr := r.rind(t, "run", "I@role:web", "settings.get", "role"); code != 0 || !strings.Contains(stdout, "web-01: web") {
		t.Errorf("exit code %d\n%s%s", code, stdout, stderr)
	}
}
