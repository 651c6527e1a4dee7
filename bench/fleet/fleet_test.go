package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rind-project/rind/bench/fleet/sim"
)

// asWorker makes the test's binary a worker, as the program makes itself one.
const asWorker = "RIND_BENCH_FLEET_WORKER"

func TestMain(m *testing.M) {
	if os.Getenv(asWorker) != "" {
		if err := sim.Work(os.Stdin, os.Stdout); err != nil {
			os.Stderr.WriteString("sim: " + err.Error() + "\n")
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// TestShortRun measures a small fleet from the enrollment to the churn, with
// the real server, so that the bench cannot rot. The ratios of so few peels on
// a busy machine mean nothing and are not judged; that everything is counted
// is, by the bench itself.
func TestShortRun(t *testing.T) {
	if testing.Short() {
		t.Skip("starts servers and some hundred peels: not in -short")
	}
	bin := filepath.Join(t.TempDir(), "rind")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", bin, "../../cmd/rind")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the server: %v\n%s", err, out)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
	defer cancel()
	var out bytes.Buffer
	err := run(ctx, options{n: 300, rounds: 1, idle: 2 * time.Second, limit: time.Minute, bin: bin, dir: t.TempDir(),
		worker: []string{"-test.run=^$"}, env: []string{asWorker + "=1"}}, &out)
	if err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	text := out.String()
	for _, name := range []string{"enroll-interval", "connected", "consumers", "idle-bytes", "ping", "returns", "fact-sync", "state-job", "settings-push", "reconnect", "churn"} {
		line := regexp.MustCompile(`(?m)^RESULT name=` + name + ` ours=[0-9.e+]+\S* limit=[0-9.e+]+\S* ratio=[0-9.e+-]+`)
		if !line.MatchString(text) {
			t.Errorf("no line of %s", name)
		}
	}
	last := text[strings.LastIndex(text, "\nfigure"):]
	if n := strings.Count(last, "RESULT name="); n < 11 {
		t.Errorf("%d results stand at the end", n)
	}
	if t.Failed() {
		t.Log(text)
	}
}

// TestSeveralServers connects a small fleet to three servers, of which one has
// the master and the streams.
func TestSeveralServers(t *testing.T) {
	if testing.Short() {
		t.Skip("starts servers and some hundred peels: not in -short")
	}
	bin := filepath.Join(t.TempDir(), "rind")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", bin, "../../cmd/rind")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the server: %v\n%s", err, out)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	var out bytes.Buffer
	err := run(ctx, options{n: 90, servers: 3, rounds: 1, idle: time.Second, limit: time.Minute, bin: bin, dir: t.TempDir(), only: []string{"ping-all"},
		worker: []string{"-test.run=^$"}, env: []string{asWorker + "=1"}}, &out)
	if err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	if !strings.Contains(out.String(), "RESULT name=ping-all") {
		t.Errorf("no ping of all:\n%s", out.String())
	}
}
