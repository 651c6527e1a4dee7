package peel

import (
	"bytes"
	"regexp"
	"testing"
)

func run(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errOut bytes.Buffer
	code = Main(append([]string{"--data", t.TempDir()}, args...), &out, &errOut)
	return code, out.String(), errOut.String()
}

func TestConfigDump(t *testing.T) {
	t.Parallel()
	code, out, stderr := run(t, "config", "dump")
	if code != 0 || !regexp.MustCompile(`(?m)^reconnect_buf_size +8MiB +default$`).MatchString(out) {
		t.Errorf("exit code %d: %s%s", code, stderr, out)
	}
}
