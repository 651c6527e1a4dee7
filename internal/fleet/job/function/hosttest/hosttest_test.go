package hosttest

import (
	"os"
	"testing"
)

// TestNothingOfTheMachineChanges writes and deletes on a host of its own.
func TestNothingOfTheMachineChanges(t *testing.T) {
	t.Parallel()
	const made, gone = "/etc/rind-hosttest", "/etc/passwd"
	Run(t, Setup{Files: map[string]string{made: "x"}, Hide: []string{gone}}, func(t *testing.T) {
		if os.Getpid() != 1 {
			t.Errorf("it is process %d", os.Getpid())
		}
		if _, err := os.Stat(made); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(gone); err == nil {
			t.Errorf("%s is there", gone)
		}
	})
	if os.Getenv(stageEnv) != "" {
		return // that was the host; the machine is looked at below
	}
	if _, err := os.Stat(made); err == nil {
		t.Errorf("%s was made on the machine", made)
	}
	if _, err := os.Stat(gone); err != nil {
		t.Error(err)
	}
}
