package natsd_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/nats-io/nkeys"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet/bus"
)

// Names of what the process that is killed is told.
const (
	crashDir = "RIND_TEST_CRASH_DIR"
	crashKey = "RIND_TEST_CRASH_KEY"
)

// TestCrashingServer is not a test but the process that TestKilledServer kills.
func TestCrashingServer(t *testing.T) {
	dir := os.Getenv(crashDir)
	if dir == "" {
		t.Skip("runs only as the child of TestKilledServer")
	}
	b := startBus(t, dir)
	kv, err := b.ensured().KeyValue(t.Context(), bus.Enrollments)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 50 {
		if _, err := kv.PutString(t.Context(), fmt.Sprintf("peel-%d", i), "approved"); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Revoke(t.Context(), os.Getenv(crashKey)); err != nil {
		t.Fatal(err)
	}
	fmt.Println("\nacknowledged")
	select {} // until it is killed
}

func TestKilledServerLosesNothingThatItAcknowledged(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	kp, pub := key(t)
	killAfterAcknowledgement(t, dir, pub)

	b := startBus(t, dir)
	kv, err := b.ensured().KeyValue(t.Context(), bus.Enrollments)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 50 {
		if e, err := kv.Get(t.Context(), fmt.Sprintf("peel-%d", i)); err != nil || string(e.Value()) != "approved" {
			t.Fatalf("record %d: %v, %v", i, e, err)
		}
	}
	if err := connectAs(b, kp); !errs.Is(err, errs.Unauthorized) {
		t.Errorf("the revoked key after the crash: %v", err)
	}
}

func connectAs(b *fleetBus, kp nkeys.KeyPair) error {
	nc, err := bus.Connect(b.t.Context(), b.peelConfig("web-01", kp))
	if err == nil {
		nc.Close()
	}
	return err
}

func killAfterAcknowledgement(t *testing.T, dir, pub string) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestCrashingServer$", "-test.v")
	cmd.Env = append(os.Environ(), crashDir+"="+dir, crashKey+"="+pub)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ready := false
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if lines.Text() == "acknowledged" {
			ready = true
			break
		}
		t.Log(lines.Text())
	}
	_ = cmd.Process.Kill() // SIGKILL: nothing is tidied up
	_ = cmd.Wait()
	if !ready {
		t.Fatal("the child ended before it was done")
	}
}
