package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestEnrollmentDecisions: a taken id, a rejection, and a revocation.
func TestEnrollmentDecisions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dir := t.TempDir()

	t.Run("a rejected host", func(t *testing.T) {
		mine := filepath.Join(dir, "rejected")
		a := w.enroll(t, mine, "unwanted", w.token(t))
		if a.code != 3 {
			t.Fatalf("exit code %d, want 3: %+v", a.code, a)
		}
		says(t, a.err, "waits for approval", "rind enroll approve")
		p := w.runPending(t, mine)
		if a := w.rind(t, "enroll", "reject", "unwanted"); a.code != 0 {
			t.Fatalf("reject: %+v", a)
		}
		eventually(t, 40*time.Second, "the agent ends and says why", func() error {
			if !p.ended() || !strings.Contains(p.errOut.String(), "was rejected by") {
				return errors.New(p.errOut.String())
			}
			return nil
		})
		w.unchanged(t, "asks again", func(t *testing.T) {
			refused(t, w.enroll(t, mine, "unwanted", ""), "was rejected by", "with a new token")
			refused(t, w.rind(t, "enroll", "approve", "unwanted"), "rejected", "with a new token")
			refused(t, w.rind(t, "enroll", "reject", "unwanted"), "nothing waits", "rind enroll revoke")
			refused(t, w.rind(t, "enroll", "revoke", "unwanted"), "is no peel", "rind enroll reject")
		})
	})

	t.Run("a host that starts before it is approved", func(t *testing.T) {
		mine := filepath.Join(dir, "early")
		if a := w.enroll(t, mine, "early", w.token(t)); a.code != 3 {
			t.Fatalf("exit code %d, want 3: %+v", a.code, a)
		}
		p := w.runPending(t, mine)
		if a := w.rind(t, "enroll", "approve", "early"); a.code != 0 {
			t.Fatalf("approve: %+v", a)
		}
		eventually(t, 40*time.Second, "it is connected", func() error {
			if got := w.presence(t, "early"); got != "connected" {
				return fmt.Errorf("it is %q: %s", got, p.errOut)
			}
			return nil
		})
	})

	t.Run("a taken id", func(t *testing.T) {
		old, _ := w.peel(t, "taken")
		mine := filepath.Join(dir, "second")
		tok := w.token(t, "--auto-approve") // which does not decide about an id that is another's
		w.unchangedPeel(t, "taken", func() {
			a := w.enroll(t, mine, "taken", tok)
			if a.code != 3 {
				t.Errorf("exit code %d, want 3: %+v", a.code, a)
			}
			says(t, a.err, "belongs to another key", "rind enroll approve --replace taken")
			refused(t, w.rind(t, "enroll", "approve", "taken"), "belongs to another key", "rind enroll approve --replace taken")
			if a := w.enroll(t, mine, "taken", ""); a.code != 3 {
				t.Errorf("it does not go on waiting: %+v", a)
			}
		})
		if a := w.rind(t, "taken", "test.ping"); a.code != 0 {
			t.Errorf("the first host still has the id: %+v", a)
		}
		if a := w.rind(t, "enroll", "approve", "--replace", "taken"); a.code != 0 {
			t.Fatalf("approve --replace: %+v", a)
		}
		if a := w.enroll(t, mine, "taken", ""); a.code != 0 {
			t.Errorf("the second host is not let in: %+v", a)
		}
		eventually(t, 2*time.Second, "the first host is cut off", func() error {
			return logged(old, "disconnected from the bus")
		})
		start(t, "", nil, program(t, "rind-peel"), "run", "--data", mine)
		eventually(t, 20*time.Second, "the second host has the id", func() error {
			if got := w.presence(t, "taken"); got != "connected" {
				return fmt.Errorf("presence %q", got)
			}
			return nil
		})
		if a := w.rind(t, "taken", "test.ping"); a.code != 0 {
			t.Errorf("%+v", a)
		}
	})

	t.Run("a revoked peel", func(t *testing.T) {
		p, mine := w.peel(t, "gone")
		if a := w.rind(t, "enroll", "revoke", "gone"); a.code != 0 {
			t.Fatalf("revoke: %+v", a)
		}
		eventually(t, 2*time.Second, "it is cut off, and says what to do", func() error {
			if got := w.presence(t, "gone"); got != "" && got != "away" {
				return fmt.Errorf("presence %q", got)
			}
			return logged(p, "disconnected from the bus", "revoked", "rind enroll list", "a new key and a new token")
		})
		p.stop(t)
		w.unchanged(t, "cannot return", func(t *testing.T) {
			again := start(t, "", nil, program(t, "rind-peel"), "run", "--data", mine)
			eventually(t, 20*time.Second, "it is refused", func() error {
				return logged(again, "the bus at", "refused this key", "revoked", "rind enroll list")
			})
			tok := w.token(t, "--auto-approve")
			for _, with := range []string{"", tok} {
				refused(t, w.enroll(t, mine, "gone", with), "was revoked by", "move its peel folder away", "a new token")
			}
			if got := w.presence(t, "gone"); got == "connected" {
				t.Error("it is back")
			}
		})
	})
}

// unchangedPeel checks that a peel stays connected, and who holds its id.
func (w world) unchangedPeel(t *testing.T, id string, do func()) {
	t.Helper()
	holder := func() string {
		var e struct {
			State     string
			PublicKey string `json:"public_key"`
		}
		if err := w.get("/enrollments/"+id, &e); err != nil {
			t.Fatal(err)
		}
		return e.State + " " + e.PublicKey + " " + w.presence(t, id)
	}
	before := holder()
	do()
	if after := holder(); after != before {
		t.Errorf("before: %s; after: %s", before, after)
	}
}

// logged checks that a process said all of these words.
func logged(p *proc, words ...string) error {
	for _, word := range words {
		if !strings.Contains(p.errOut.String(), word) {
			return fmt.Errorf("%q is missing in: %s", word, p.errOut)
		}
	}
	return nil
}

func TestServerDoesNotStart(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = taken.Close() }) // after the parallel parts
	addr := taken.Addr().String()
	serve := func(t *testing.T, dir string, args ...string) answer {
		t.Helper()
		return command(t, nil, program(t, "rind"), append([]string{"server", "--data", dir, "--listen", "127.0.0.1:0", "--bus-listen", "127.0.0.1:0"}, args...)...)
	}
	t.Run("a port in use", func(t *testing.T) {
		t.Parallel()
		refused(t, serve(t, newServer(t).dir, "--listen", addr), "cannot listen on "+addr, "another program uses this port", `set "listen"`)
		refused(t, serve(t, newServer(t).dir, "--bus-listen", addr), "cannot listen on "+addr, "set nats.listen")
	})
	t.Run("a data folder that another server has", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.unchanged(t, "second server", func(t *testing.T) {
			refused(t, serve(t, w.dir), "another server runs on the data folder "+w.dir, "--data")
		})
	})
	t.Run("a data folder that cannot be", func(t *testing.T) {
		t.Parallel()
		file := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(file, []byte("mine"), 0o600); err != nil {
			t.Fatal(err)
		}
		refused(t, serve(t, file), "data folder", "--data")
		if b, err := os.ReadFile(file); err != nil || string(b) != "mine" {
			t.Errorf("the file is changed: %q, %v", b, err)
		}
	})
	t.Run("a data folder that is not writable", func(t *testing.T) { t.Parallel(); notWritable(t) })
}

// notWritable runs each program as a user who may not write to its folder.
func notWritable(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("skipped: running a program as another user needs root")
	}
	dir := newServer(t).dir // 0755, and root's
	pin := "sha256:" + strings.Repeat("0", 64)
	for _, test := range []struct {
		args  []string
		words []string
	}{
		{[]string{"rind", "server", "--data", dir, "--listen", "127.0.0.1:0", "--bus-listen", "127.0.0.1:0"}, []string{"permission denied", "--data"}},
		{[]string{"rind-peel", "enroll", "--data", dir, "--id", "one", "--server", "https://127.0.0.1:1", "--pin", pin, "--token", "x"}, []string{dir, "run this as the user that owns it"}},
		{[]string{"rind-peel", "run", "--data", dir}, []string{"not enrolled", "rind enroll token"}},
	} {
		cmd := exec.CommandContext(t.Context(), program(t, test.args[0]), test.args[1:]...)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		var errOut bytes.Buffer
		cmd.Stderr = &errOut
		err := cmd.Run()
		exit, ok := errors.AsType[*exec.ExitError](err)
		if !ok || exit.ExitCode() != 1 {
			t.Errorf("%v: %v", test.args, err)
		}
		says(t, errOut.String(), test.words...)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("something was written: %v, %v", left, err)
	}
}

func TestConfigTypos(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, test := range map[string]struct {
		file  string
		words []string // after the file's name
	}{
		"rind":      {"# a server\nnats:\n  lisen: 127.0.0.1:4222\n", []string{`:3: unknown key "nats.lisen"`, `did you mean "nats.listen"?`}},
		"rind-peel": {"log:\n  levle: debug\n", []string{`:2: unknown key "log.levle"`, `did you mean "log.level"?`}},
		"rind-tap":  {"report:\n  intervall: 1s\n", []string{`:2: unknown key "report.intervall"`, `did you mean "report.interval"?`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(dir, name+".yaml")
			if err := os.WriteFile(path, []byte(test.file), 0o600); err != nil {
				t.Fatal(err)
			}
			data := filepath.Join(dir, name+"-data")
			run := []string{"run", "--config", path, "--data", data}
			if name == "rind" {
				run[0] = "server"
			}
			for _, args := range [][]string{{"config", "check", "--config", path}, {"config", "dump", "--config", path}, run} {
				a := command(t, nil, program(t, name), args...)
				refused(t, a, path+test.words[0], test.words[1])
			}
			if _, err := os.Stat(data); err == nil {
				t.Error("the data folder was made nevertheless")
			}
			fine := strings.NewReplacer("lisen:", "listen:", "levle", "level", "intervall", "interval").Replace(test.file)
			if err := os.WriteFile(path, []byte(fine), 0o600); err != nil {
				t.Fatal(err)
			}
			if a := command(t, nil, program(t, name), "config", "check", "--config", path); a.code != 0 || !strings.Contains(a.out, "good") {
				t.Errorf("the corrected file: %+v", a)
			}
			refused(t, command(t, nil, program(t, name), "config", "check", "--config", path+".none"), path+".none")
			refused(t, command(t, nil, program(t, name), "config", "check", "--config", path, "--set", "log.level=loud"), "log.level")
		})
	}
}

// runPending runs the agent of a host that nobody has approved yet, until it
// says so.
func (w world) runPending(t *testing.T, dir string) *proc {
	t.Helper()
	p := start(t, "", nil, program(t, "rind-peel"), "run", "--data", dir)
	eventually(t, 20*time.Second, "it says that it waits", func() error {
		if !strings.Contains(p.errOut.String(), "waiting for rind enroll approve") {
			return errors.New(p.errOut.String())
		}
		return nil
	})
	return p
}
