package peel

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
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

func TestConfigOrigins(t *testing.T) {
	t.Parallel()
	_, out, _ := run(t, "config", "dump", "--set", "workers=7")
	for _, line := range []string{`workers +7 +flag --set workers`, `data_dir +/.* +flag --data`} {
		if !regexp.MustCompile(`(?m)^` + line + `$`).MatchString(out) {
			t.Errorf("no line %q in\n%s", line, out)
		}
	}
}

func TestConfigCheckJSON(t *testing.T) {
	t.Parallel()
	if code, out, stderr := run(t, "config", "check", "-o", "json"); code != 0 || out != "{\"ok\":true}\n" || stderr != "" {
		t.Errorf("exit code %d: %q %q", code, out, stderr)
	}
	code, out, stderr := run(t, "config", "check", "-o", "json", "--set", "foo.bar=1", "--set", "workers=many")
	var got struct {
		OK     bool
		Errors []string
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil || code != 1 || stderr != "" || got.OK || len(got.Errors) != 2 {
		t.Fatalf("exit code %d: %q %q (%v)", code, out, stderr, err)
	}
	if !strings.HasPrefix(got.Errors[0], `flag --set foo.bar: unknown key "foo.bar"`) || !strings.HasPrefix(got.Errors[1], `flag --set workers: `) {
		t.Errorf("the mistakes are %q", got.Errors)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"config dump -o ndjson":  `rind-peel: a configuration has no format "ndjson"; use table, json or yaml`,
		"config check -o ndjson": `rind-peel: the result of a check has no format "ndjson"; use table or json`,
		"config check --bogus":   "rind-peel: unknown flag: --bogus; see `rind-peel config check --help`",
		"enrol":                  `rind-peel: unknown command "enrol" for "rind-peel"; did you mean "enroll"?`,
	} {
		if code, out, stderr := run(t, strings.Fields(line)...); code != 1 || out != "" || !strings.HasPrefix(stderr, want) {
			t.Errorf("%s: exit code %d, %q %q", line, code, out, stderr)
		}
	}
}
