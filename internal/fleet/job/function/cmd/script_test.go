package cmd

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestSurroundings(t *testing.T) {
	t.Parallel()
	res, err := do(t, "cmd.run", time.Minute, "cat; echo $A-$B", "stdin=in ", "env=A=1,B=2=3")
	if err != nil || res.Value.(Command).Stdout != "in 1-2=3\n" {
		t.Errorf("%+v, %v", res, err)
	}
	if _, err := do(t, "cmd.run", time.Minute, "true", "env=A"); err == nil || !strings.Contains(err.Error(), "no NAME=VALUE") {
		t.Errorf("got %v", err)
	}
	if _, err := do(t, "cmd.run", time.Minute, "true", "user=who-is-this"); err == nil {
		t.Error("an unknown user was taken")
	}
	if os.Geteuid() != 0 {
		t.Skip("only root runs commands as others")
	}
	res, err = do(t, "cmd.run", time.Minute, "id -un; id -G; echo $HOME", "user=daemon")
	if err != nil || res.Value.(Command).Stdout != "daemon\n1\n/usr/sbin\n" {
		t.Errorf("%+v, %v", res, err)
	}
	res, err = do(t, "cmd.script", time.Minute, "#!/bin/sh\nid -un; cat $0 | wc -l", "user=daemon")
	if err != nil || res.Value.(Command).Stdout != "daemon\n1\n" {
		t.Errorf("%+v, %v", res, err)
	}
}

func TestScript(t *testing.T) {
	t.Parallel()
	res, err := do(t, "cmd.script", time.Minute, "echo $0; echo $2; exit 4", "args=a,b c")
	out, _ := res.Value.(Command)
	file, second, _ := strings.Cut(out.Stdout, "\n")
	if err != nil || second != "b c\n" || res.ExitCode != 4 || res.Failed != "exit code 4" {
		t.Errorf("%+v, %v", res, err)
	}
	if _, err := os.Stat(filepath.Dir(file)); err == nil {
		t.Errorf("%s is left", file)
	}
	res, err = do(t, "cmd.script", time.Minute, "#!/bin/sh -e\nfalse\necho no\n")
	if err != nil || res.ExitCode != 1 || res.Value.(Command).Stdout != "" {
		t.Errorf("%+v, %v", res, err)
	}
	if _, err := do(t, "cmd.script", time.Minute, "#!/no/such/interpreter\n"); err == nil {
		t.Error("an interpreter that is not there was run")
	}
}

func TestInterpreter(t *testing.T) {
	t.Parallel()
	for line, want := range map[string][]string{
		"echo": {"/bin/sh"}, "": {"/bin/sh"}, "#!/bin/bash": {"/bin/bash"}, "#! /usr/bin/env  python3 -u\nx": {"/usr/bin/env", "python3 -u"},
		"#!": nil, "#!sh": nil,
	} {
		if got, err := interpreter(line); !slices.Equal(got, want) || (err == nil) != (want != nil) {
			t.Errorf("%q: %q, %v", line, got, err)
		}
	}
}

func TestWhich(t *testing.T) {
	t.Parallel()
	if res, err := do(t, "cmd.which", 0, "sh"); err != nil || !strings.HasSuffix(res.Value.(string), "/bin/sh") {
		t.Errorf("%+v, %v", res, err)
	}
	for _, name := range []string{"no-such-program-here", "../bin/sh", "/bin/sh", ""} {
		if res, err := do(t, "cmd.which", 0, name); err == nil {
			t.Errorf("%q: %+v", name, res)
		}
	}
}
