package e2e

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// ranJob is what `rind run -o json` and `rind job show -o json` print.
type ranJob struct {
	Job struct {
		JID, Target, Function, State string
		Summary                      struct {
			Targeted, Answered, Failed, Missing int
			MissingPeels                        []string `json:"missing_peels"`
		}
	}
	Returns []struct {
		Peel     string
		OK       bool
		ExitCode int `json:"exit_code"`
		Value    json.RawMessage
	}
}

func parseJob(t *testing.T, a answer) (j ranJob) {
	t.Helper()
	if err := json.Unmarshal([]byte(a.out), &j); err != nil {
		t.Fatalf("no JSON: %v: %+v", err, a)
	}
	return j
}

// lastLine is the summary of a job.
func lastLine(a answer) string {
	lines := strings.Split(strings.TrimSuffix(a.out, "\n"), "\n")
	return lines[len(lines)-1]
}

// ended checks the exit code and the exact summary line of a job.
func ended(t *testing.T, a answer, code int, summary string) {
	t.Helper()
	if a.code != code || lastLine(a) != summary {
		t.Errorf("want exit code %d and %q: %+v", code, summary, a)
	}
}

// TestExitCodes runs jobs on two peels, of which one fails, is stopped, or both.
func TestExitCodes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.peel(t, "alpha")
	beta, _ := w.peel(t, "beta")

	t.Run("0 all well", func(t *testing.T) {
		a := w.rind(t, "run", "*", "test.ping")
		ended(t, a, 0, "2 targeted, 2 answered, 0 failed, 0 missing")
		says(t, a.out, "alpha: true\n", "beta: true\n")
		short := w.rind(t, "*", "test.ping")
		ended(t, short, 0, "2 targeted, 2 answered, 0 failed, 0 missing")
		one := w.rind(t, "alpha", "test.ping")
		if one.out != "alpha: true\n1 targeted, 1 answered, 0 failed, 0 missing\n" {
			t.Errorf("TARGET as the first word: %+v", one)
		}
	})
	t.Run("2 a command fails", func(t *testing.T) {
		a := w.rind(t, "*", "cmd.run", "echo seen; exit 7")
		ended(t, a, 2, "2 targeted, 2 answered, 2 failed, 0 missing")
		says(t, a.out, "alpha: FAILED (exit code 7)", "seen")
		a = w.rind(t, "beta", "no.such")
		if a.code == 0 || !strings.Contains(a.out+a.err, "no.such") {
			t.Errorf("a function that does not exist: %+v", a)
		}
	})
	t.Run("1 it cannot be asked", func(t *testing.T) {
		gone := filepath.Join(t.TempDir(), "none.sock")
		refused(t, command(t, nil, program(t, "rind"), "--socket", gone, "*", "test.ping"), "no server here", "rind up", "rind login")
		refused(t, w.rind(t, "nobody-*", "test.ping"), "nobody-*")
		refused(t, w.rind(t, "run", "*"), "rind run TARGET FUNCTION")
		refused(t, w.rind(t, "run", "[", "test.ping"), "[")
		refused(t, w.rind(t, "peel", "show", "nobody"), "nobody")
		refused(t, w.rind(t, "job", "show", "nothing"), "nothing")
	})
	t.Run("JSON and job show", func(t *testing.T) {
		a := w.rind(t, "-o", "json", "alpha", "cmd.run", "echo out; echo err >&2; exit 3")
		j := parseJob(t, a)
		if a.code != 2 || j.Job.Summary.Failed != 1 || len(j.Returns) != 1 || j.Returns[0].ExitCode != 3 || j.Returns[0].OK {
			t.Errorf("run: exit code %d, %+v", a.code, j)
		}
		a = w.rind(t, "job", "show", j.Job.JID, "-o", "json")
		if shown := parseJob(t, a); a.code != 2 || shown.Job.JID != j.Job.JID || len(shown.Returns) != 1 || shown.Returns[0].ExitCode != 3 {
			t.Errorf("job show -o json: exit code %d, %+v", a.code, shown)
		}
		a = w.rind(t, "job", "show", j.Job.JID)
		ended(t, a, 2, "1 targeted, 1 answered, 1 failed, 0 missing") // the job's outcome, as from run
		says(t, a.out, j.Job.JID, "cmd.run", "out", "alpha: FAILED (exit code 3)")
	})

	if err := beta.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	t.Run("3 a peel is silent", func(t *testing.T) {
		a := w.rind(t, "run", "--timeout", "3s", "*", "test.ping")
		ended(t, a, 3, "2 targeted, 1 answered, 0 failed, 1 missing: beta")
		a = w.rind(t, "run", "--timeout", "3s", "-o", "json", "*", "test.ping")
		if j := parseJob(t, a); a.code != 3 || j.Job.Summary.Missing != 1 || fmt.Sprint(j.Job.Summary.MissingPeels) != "[beta]" {
			t.Errorf("exit code %d, %+v", a.code, j)
		}
	})
	t.Run("4 one fails and one is silent", func(t *testing.T) {
		a := w.rind(t, "run", "--timeout", "3s", "*", "cmd.run", "exit 1")
		ended(t, a, 4, "2 targeted, 1 answered, 1 failed, 1 missing: beta")
	})
	if err := beta.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	t.Run("it answers again", func(t *testing.T) {
		eventually(t, 20*time.Second, "both answer", func() error {
			if a := w.rind(t, "*", "test.ping"); a.code != 0 {
				return fmt.Errorf("%+v", a)
			}
			return nil
		})
	})
	t.Run("3 a peel is not there", func(t *testing.T) {
		beta.stop(t)
		a := w.rind(t, "run", "--timeout", "3s", "*", "test.ping")
		ended(t, a, 3, "2 targeted, 1 answered, 0 failed, 1 missing: beta")
	})
	t.Run("a revoked peel is no target", func(t *testing.T) {
		if a := w.rind(t, "enroll", "revoke", "beta"); a.code != 0 {
			t.Fatalf("revoke: %+v", a)
		}
		ended(t, w.rind(t, "*", "test.ping"), 0, "1 targeted, 1 answered, 0 failed, 0 missing")
		refused(t, w.rind(t, "beta", "test.ping"), "beta")
	})
}
