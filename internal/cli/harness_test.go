package cli_test

import (
	"bytes"
	"context"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rind-project/rind/internal/api/apitest"
	"github.com/rind-project/rind/internal/cli"
)

var update = flag.Bool("update", false, "write the golden files")

// terminal runs the command line as a person would.
type terminal struct {
	opts cli.Options
	env  map[string]string
	in   string
}

// on makes a terminal on the machine of a server.
func on(t *testing.T, s *apitest.Server) *terminal {
	t.Helper()
	home := t.TempDir()
	term := &terminal{env: map[string]string{"HOME": home, "RIND_SOCKET": s.Socket}}
	term.opts = cli.Options{Login: filepath.Join(home, "login.yaml"), Sockets: []string{filepath.Join(home, "none.sock")}}
	return term
}

// run runs one command line.
func (term *terminal) run(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var out, err bytes.Buffer
	opts := term.opts
	opts.In, opts.Out, opts.Err = strings.NewReader(term.in), &out, &err
	opts.Env = func(name string) string { return term.env[name] }
	opts.Now = func() time.Time { return apitest.Now }
	code = cli.Main(ctx, args, opts)
	return code, out.String(), err.String()
}

// transcript writes command lines and what they answer as they read at a
// terminal.
func (term *terminal) transcript(t *testing.T, lines ...[]string) string {
	t.Helper()
	var b strings.Builder
	for _, args := range lines {
		code, stdout, stderr := term.run(t, args...)
		b.WriteString("$ rind " + strings.Join(args, " ") + "\n" + stdout)
		if stderr != "" {
			b.WriteString("--- stderr\n" + stderr)
		}
		if code != 0 {
			b.WriteString("--- exit code " + string(rune('0'+code)) + "\n")
		}
		b.WriteString("\n")
	}
	return strings.ReplaceAll(b.String(), term.env["RIND_SOCKET"], "/run/rind/rind.sock")
}

// golden compares with a file under testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (go test -update writes it anew):\n%s", file, diff)
	}
}
