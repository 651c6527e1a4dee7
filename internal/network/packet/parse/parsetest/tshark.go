package parsetest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Corpus returns the path of a capture in the folder of captures beside the
// repository, or skips the test.
func Corpus(tb testing.TB, name string) string {
	tb.Helper()
	dir, err := os.Getwd()
	if err != nil {
		tb.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		if dir == filepath.Dir(dir) {
			tb.Fatal("no go.mod above the package")
		}
		dir = filepath.Dir(dir)
	}
	path := filepath.Join(filepath.Dir(dir), "shared", "pcaps", filepath.FromSlash(name))
	if _, err := os.Stat(path); err != nil {
		tb.Skipf("the test needs the capture: %v", err)
	}
	return path
}

// Tshark returns fields of the packets of a capture that a display filter
// selects, or skips the test when tshark is not installed. A field with
// several values has them with commas. decode says how a port is to be decoded
// ("tcp.port==4433,tls"), or is empty.
func Tshark(tb testing.TB, path, decode, filter string, fields ...string) [][]string {
	tb.Helper()
	if _, err := exec.LookPath("tshark"); err != nil {
		tb.Skip("tshark is not installed: the test compares with it")
	}
	args := []string{"-n", "-r", path, "-Y", filter, "-T", "fields", "-E", "separator=|"}
	if decode != "" {
		args = append(args, "-d", decode)
	}
	for _, f := range fields {
		args = append(args, "-e", f)
	}
	out, err := exec.CommandContext(tb.Context(), "tshark", args...).Output()
	if err != nil {
		tb.Fatalf("tshark: %v", err)
	}
	var rows [][]string
	for line := range strings.Lines(string(out)) {
		rows = append(rows, strings.Split(strings.TrimRight(line, "\n"), "|"))
	}
	return rows
}
