package function

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/rind-project/rind/internal/fleet"
)

type testHost struct{}

func (testHost) ID() fleet.PeelID { return "web" }
func (testHost) Version() string  { return "1" }
func (testHost) Facts(context.Context) (fleet.Facts, error) {
	return fleet.Facts{ID: "web", OS: "Debian", Mem: fleet.Mem{Total: 42}}, nil
}

func TestDecode(t *testing.T) {
	t.Parallel()
	f := Function{Name: "x.y", Args: []Arg{
		{Name: "what", Type: String, Required: true, Doc: "the thing"},
		{Name: "count", Type: Int}, {Name: "force", Type: Bool}, {Name: "wait", Type: Duration},
	}}
	tests := []struct {
		args []string
		want Values
		err  string
	}{
		{[]string{"a"}, Values{"what": "a"}, ""},
		{[]string{"count=3"}, Values{"what": "count=3"}, ""},
		{[]string{"a", "3", "true", "5s"}, Values{"what": "a", "count": 3, "force": true, "wait": 5 * time.Second}, ""},
		{[]string{"a", "wait=1m", "7"}, Values{"what": "a", "wait": time.Minute, "count": 7}, ""},
		{nil, nil, "x.y needs WHAT (the thing); usage: x.y WHAT [count=int] [force=bool] [wait=duration]"},
		{[]string{"a", "three"}, nil, `count is to be a whole number, not "three"`},
		{[]string{"a", "wait=5"}, nil, "a duration such as 90s or 5m"},
		{[]string{"a", "cuont=3"}, nil, "did you mean count?"},
		{[]string{"a", "count=1", "count=2"}, nil, "given twice"},
		{[]string{"a", "1", "true", "1s", "more"}, nil, `no place for "more"`},
	}
	for _, tt := range tests {
		got, err := f.decode(tt.args)
		if tt.err != "" {
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%q: %v, want %q", tt.args, err, tt.err)
			}
			continue
		}
		if diff := cmp.Diff(tt.want, got); err != nil || diff != "" {
			t.Errorf("%q: %v (-want +got):\n%s", tt.args, err, diff)
		}
	}
}

func TestClosest(t *testing.T) {
	t.Parallel()
	r := NewRegistry(All())
	for name, want := range map[string]string{
		"test.pin": "test.ping", "tset.ping": "test.ping", "fact.get": "facts.get", "cmd.rnu": "cmd.run",
		"completely.different.thing": "", strings.Repeat("x", 1<<16): "",
	} {
		_, err := r.Find(name)
		if err == nil || strings.Contains(err.Error(), "did you mean") != (want != "") || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v, want %q", name, err, want)
		}
		if len(err.Error()) > 300 {
			t.Errorf("the message has %d bytes", len(err.Error()))
		}
	}
}

func TestSchemas(t *testing.T) {
	t.Parallel()
	names := map[string]bool{}
	for _, f := range All() {
		if names[f.Name] || f.Doc == "" || f.Run == nil || !strings.Contains(f.Name, ".") {
			t.Errorf("%s: doubled, or without documentation or code", f.Name)
		}
		names[f.Name] = true
		optional := false
		for _, a := range f.Args {
			if a.Required && optional {
				t.Errorf("%s: %s is required behind an optional argument", f.Name, a.Name)
			}
			optional = !a.Required
		}
	}
}

func do(t *testing.T, name string, limit time.Duration, args ...string) (Result, error) {
	t.Helper()
	f, err := NewRegistry(All()).Find(name)
	if err != nil {
		t.Fatal(err)
	}
	return f.Do(t.Context(), testHost{}, args, limit)
}

func TestPanicIsAnError(t *testing.T) {
	t.Parallel()
	f := Function{Name: "x.y", Run: func(context.Context, Call) (Result, error) { panic("oh") }}
	_, err := f.Do(t.Context(), testHost{}, nil, 0)
	if p, ok := errors.AsType[*Panic](err); !ok || p.Value != "oh" || !strings.Contains(p.Stack, "function_test.go") {
		t.Errorf("got %v", err)
	}
}

func TestCommandEndsWithItsGroup(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "pid")
	began := time.Now()
	res, err := do(t, "cmd.run", 500*time.Millisecond, "sleep 100 & echo $! > "+file+"; wait")
	if err != nil {
		t.Fatal(err)
	}
	out := res.Value.(Command)
	if !out.TimedOut || res.ExitCode != 137 || res.Failed == "" || time.Since(began) > 10*time.Second {
		t.Errorf("%+v, %q after %s", out, res.Failed, time.Since(began))
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(raw)))
	if err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil || strings.Contains(string(stat), ") Z ") {
			break
		}
		if time.Now().After(end) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
			t.Fatal("the child of the command lives on")
		}
	}
}

func TestCommandThatLeavesADaemonDoesNotHang(t *testing.T) {
	t.Parallel()
	began := time.Now()
	res, err := do(t, "cmd.run", time.Minute, "setsid sleep 8 & echo done")
	if err != nil {
		t.Fatal(err)
	}
	if out := res.Value.(Command); out.Stdout != "done\n" || out.ExitCode != 0 || time.Since(began) > 7*time.Second {
		t.Errorf("%+v after %s", out, time.Since(began))
	}
}

func TestCommandOutputIsBounded(t *testing.T) {
	t.Parallel()
	res, err := do(t, "cmd.run", time.Minute, "printf begin; head -c 3000000 /dev/zero | tr '\\0' x; printf end")
	if err != nil {
		t.Fatal(err)
	}
	out := res.Value.(Command)
	if want := int64(3000000 + 8 - MaxOutput); out.StdoutCut != want {
		t.Errorf("cut %d bytes, want %d", out.StdoutCut, want)
	}
	if !strings.HasPrefix(out.Stdout, "begin") || !strings.HasSuffix(out.Stdout, "end") || len(out.Stdout) > MaxOutput+32 {
		t.Errorf("kept %d bytes", len(out.Stdout))
	}
}

func TestCommandFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	res, err := do(t, "cmd.run", time.Minute, "pwd", "cwd="+dir)
	if err != nil || res.Value.(Command).Stdout != dir+"\n" {
		t.Errorf("%+v, %v", res, err)
	}
	if _, err := do(t, "cmd.run", time.Minute, "pwd", "cwd=/does/not/exist"); err == nil {
		t.Error("a folder that does not exist was taken")
	}
}

func TestKeep(t *testing.T) {
	t.Parallel()
	for _, total := range []int{0, 1, 9, 10, 11, 19, 20, 21, 25, 30, 100, 1003} {
		for _, step := range []int{1, 3, 7, 64, 2000} {
			var all strings.Builder
			for n := range total {
				all.WriteByte('a' + byte(n%26))
			}
			k := newKeep(20)
			for s := all.String(); s != ""; s = s[min(step, len(s)):] {
				if n, err := k.Write([]byte(s[:min(step, len(s))])); err != nil || n != min(step, len(s)) {
					t.Fatal(n, err)
				}
			}
			text, cut := k.text()
			want, wantCut := all.String(), int64(0)
			if total > 20 {
				want, wantCut = want[:10]+"\n… cut …\n"+want[total-10:], int64(total-20)
			}
			if text != want || cut != wantCut {
				t.Fatalf("%d bytes in steps of %d: %q, %d cut; want %q, %d", total, step, text, cut, want, wantCut)
			}
		}
	}
}

func FuzzKeep(f *testing.F) {
	f.Add([]byte("äöüäöüäöüäöüäöüäöüäöüäöü"), 3)
	f.Add([]byte("\xff\xfe\xc3"), 1)
	f.Fuzz(func(t *testing.T, data []byte, step int) {
		if step <= 0 {
			return
		}
		k := newKeep(16)
		for d := data; len(d) > 0; d = d[min(step, len(d)):] {
			k.Write(d[:min(step, len(d))])
		}
		text, cut := k.text()
		if !utf8.ValidString(text) || cut < 0 || cut > int64(len(data)) {
			t.Errorf("%q, %d cut", text, cut)
		}
	})
}
