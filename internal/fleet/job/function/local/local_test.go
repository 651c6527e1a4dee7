package local

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestExec(t *testing.T) {
	t.Parallel()
	s := Host()
	out, err := s.Do(t.Context(), []string{"sh", "-c", "cat; echo $PATH $LC_ALL $X >&2"}, []string{"X=y"})
	if err != nil || out.Stdout != "" || out.Stderr != SearchPath()+" C y\n" {
		t.Errorf("%+v, %v", out, err)
	}
	if _, err := s.Do(t.Context(), []string{"sh", "-c", "echo no >&2; exit 3"}, nil); err == nil || err.Error() != "sh ended with exit code 3: no" {
		t.Errorf("got %v", err)
	}
	if _, err := s.Do(t.Context(), []string{"sh", "-c", "exit 3"}, nil, 3); err != nil {
		t.Error(err)
	}
	if _, err := s.Do(t.Context(), []string{"no-such-program-here"}, nil); err == nil || err.Error() != "this host has no program no-such-program-here" {
		t.Errorf("got %v", err)
	}
	if _, err := s.Do(t.Context(), []string{"sh", "-c", "kill -9 $$"}, nil); err == nil || !strings.Contains(err.Error(), "signal") {
		t.Errorf("got %v", err)
	}
	out, err = s.Do(t.Context(), []string{"sh", "-c", "head -c 9000000 /dev/zero | tr '\\0' x"}, nil)
	if err != nil || !out.Cut || len(out.Stdout) != MaxOutput {
		t.Errorf("%d bytes, %v, %v", len(out.Stdout), out.Cut, err)
	}
}

// TestExecEndsWithItsGroup has a program that asks for no end, and a child.
func TestExecEndsWithItsGroup(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "pid")
	ctx, cancel := context.WithCancelCause(t.Context())
	over := errors.New("the job is over")
	go func() {
		for {
			if b, err := os.ReadFile(file); err == nil && len(b) > 1 {
				cancel(over)
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
	}()
	_, err := Exec(ctx, Command{Path: "/bin/sh", Args: []string{"-c", `sleep 100 & echo $! > "$0"; wait`, file}})
	if !errors.Is(err, over) {
		t.Errorf("got %v", err)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		if err != nil || strings.Contains(string(stat), ") Z ") {
			return
		}
		if time.Now().After(end) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
			t.Fatal("the child lives on")
		}
	}
}

func TestDiff(t *testing.T) {
	t.Parallel()
	many := strings.Repeat("line\n", 30)
	tests := []struct{ before, after, want string }{
		{"a\n", "a\n", ""},
		{"", "a\n", "@@ -0,0 +1,1 @@\n+a\n"},
		{"a\n", "", "@@ -1,1 +0,0 @@\n-a\n"},
		{"a", "a\n", "@@ -1,1 +1,1 @@\n-a\n\\ No newline at end of file\n+a\n"},
		{"a\nb\nc\n", "a\nx\nc\n", "@@ -1,3 +1,3 @@\n a\n-b\n+x\n c\n"},
		{"1\n" + many + "2\n", "x\n" + many + "y\n", "@@ -1,4 +1,4 @@\n-1\n+x\n line\n line\n line\n@@ -29,4 +29,4 @@\n line\n line\n line\n-2\n+y\n"},
		{"a\x00", "b", "binary: 2 bytes before, 1 after\n"},
		{strings.Repeat("a\n", 3000), strings.Repeat("b\n", 3000), "3000 lines before, 3000 after, from line 1 on\n"},
	}
	for _, tt := range tests {
		if got := Diff(tt.before, tt.after); got != tt.want {
			t.Errorf("%.40q, %.40q:\n%s\nwant\n%s", tt.before, tt.after, got, tt.want)
		}
	}
}

// FuzzDiff applies what it prints with patch(1), where that is there.
func FuzzDiff(f *testing.F) {
	patch, err := exec.LookPath("patch")
	if err != nil {
		f.Skip("patch is not there")
	}
	f.Add("a\nb\nc\n", "a\nc\nd\n")
	f.Add("1\n2\n3\n4\n5\n6\n7\n8\n9\n", "2\n3\n4\n5\n6\n7\n8\n9\n1\n")
	f.Add("", "x")
	f.Fuzz(func(t *testing.T, before, after string) {
		d := Diff(before, after)
		if !strings.HasPrefix(d, "@@") || len(d) > maxDiff || strings.Contains(before+after, "\r") {
			return
		}
		dir := t.TempDir()
		file := filepath.Join(dir, "f")
		if err := os.WriteFile(file, []byte(before), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(patch, "--binary", "-s", "-u", file)
		cmd.Stdin = strings.NewReader("--- f\n+++ f\n" + d)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s\n%s", err, out, d)
		}
		got, err := os.ReadFile(file)
		if err != nil && (!os.IsNotExist(err) || after != "") || string(got) != after {
			t.Errorf("%q became %q instead of %q by\n%s", before, got, after, d)
		}
	})
}
