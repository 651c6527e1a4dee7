package e2e

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/base/database/databasetest"
)

// member is one server of a cluster, which can be started again.
type member struct {
	world
	args []string
}

// freePorts are addresses of the loopback that were free a moment ago.
func freePorts(t *testing.T, n int) (all []string) {
	t.Helper()
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		all = append(all, l.Addr().String())
	}
	return all
}

// run starts the server and waits until it serves.
func (m *member) run(t *testing.T) {
	t.Helper()
	m.proc = start(t, "", nil, program(t, "rind"), append([]string{"server"}, m.args...)...)
	eventually(t, 2*time.Minute, "the server serves", func() error {
		if m.proc.ended() {
			t.Fatalf("rind server ended: %s", m.proc.errOut)
		}
		for line := range strings.Lines(m.proc.errOut.String()) {
			var said struct{ Msg, URL, Bus, Pin string }
			if json.Unmarshal([]byte(line), &said) == nil && said.Msg == "server started" {
				m.url, m.bus, m.pin = said.URL, said.Bus, said.Pin
				return nil
			}
		}
		return fmt.Errorf("it has not said so: %s", m.proc.errOut)
	})
}

// newCluster starts one server, and two more that join it.
func newCluster(t *testing.T) []*member {
	t.Helper()
	url := databasetest.URL(t, database.PostgreSQL)
	common := []string{"--set", "log.format=json", "--set", "nats.jetstream.max_file_store=2GiB", "--set", "nats.jetstream.max_mem_store=256MiB"}
	ports := freePorts(t, 9)
	var all []*member
	for i, name := range []string{"one", "two", "three"} {
		listen, busListen, cluster := ports[3*i], ports[3*i+1], ports[3*i+2]
		m := &member{world: world{server: newServer(t)}}
		if i == 0 {
			m.args = append([]string{"--data", m.dir, "--listen", listen, "--bus-listen", busListen,
				"--set", "nats.cluster.listen=" + cluster, "--set", "database.url=" + url, "--set", "master.name=" + name}, common...)
		} else {
			config := filepath.Join(newServer(t).dir, "rind.yaml")
			m.args = append([]string{"--config", config}, common...)
			a := all[0].rind(t, "server", "token")
			words := strings.Fields(a.out)
			if a.code != 0 || len(words) < 9 || strings.Join(words[:3], " ") != "rind server join" {
				t.Fatalf("server token: %+v", a)
			}
			words = append(words[1:], "--config", config, "--data", m.dir, "--listen", listen, "--bus-listen", busListen, "--cluster-listen", cluster, "--name", name)
			if a := command(t, nil, program(t, "rind"), words...); a.code != 0 {
				t.Fatalf("server join: %+v", a)
			}
		}
		m.run(t)
		all = append(all, m)
	}
	spread(t, all[0])
	return all
}

// spread waits until the first server has said that everything is on three.
func spread(t *testing.T, m *member) {
	t.Helper()
	eventually(t, 2*time.Minute, "three servers have everything", func() error {
		for line := range strings.Lines(m.proc.errOut.String()) {
			if strings.Contains(line, "the buckets are spread over them") && strings.Contains(line, `"servers":3`) {
				return nil
			}
		}
		return fmt.Errorf("it has not said so")
	})
	time.Sleep(5 * time.Second) // the copies are made
}

// TestCluster goes through the life of three servers: jobs from each, the death
// of one in the middle of a job, and a restart of all, one after the other.
func TestCluster(t *testing.T) {
	t.Parallel()
	all := newCluster(t)
	for i, id := range []string{"web-1", "web-2", "web-3"} {
		all[i].peel(t, id)
	}
	for i, m := range all {
		eventually(t, time.Minute, "all peels are seen", func() error {
			for _, id := range []string{"web-1", "web-2", "web-3"} {
				if got := m.presence(t, id); got != "connected" {
					return fmt.Errorf("server %d: %s is %q", i, id, got)
				}
			}
			return nil
		})
		if a := m.rind(t, "*", "test.ping"); a.code != 0 || strings.Count(a.out, "web-") != 3 {
			t.Errorf("a job from server %d: %+v", i, a)
		}
	}
	t.Run("a server is killed", func(sub *testing.T) { killedInAJob(sub, t, all) })
	if os.Getenv("RIND_NIGHTLY") == "" {
		t.Log("shortened: make nightly kills each server in turn, too, and restarts one after the other under commands")
		return
	}
	t.Run("each server is killed", func(sub *testing.T) { eachIsKilled(sub, t, all) })
	t.Run("a rolling restart", func(sub *testing.T) { rollingRestart(sub, t, all) })
}

// eachIsKilled measures for how long another server can take no job when one is
// killed: as long as an election takes, if that one led the bucket jobs.
func eachIsKilled(t, whole *testing.T, all []*member) {
	for i, m := range all {
		next := all[(i+1)%len(all)]
		m.proc.kill9()
		began := time.Now()
		tries := 0
		eventually(t, time.Minute, "another server takes a job", func() error {
			tries++
			if a := next.rind(t, "*", "test.ping"); a.code != 0 || strings.Count(a.out, "web-") != 3 {
				return fmt.Errorf("%+v", a)
			}
			return nil
		})
		took := time.Since(began)
		t.Logf("server %d is killed: the next job is done %s later, at try %d", i, took.Round(10*time.Millisecond), tries)
		if took > 29*time.Second { // 20 s and an election, of up to 9 s
			t.Errorf("that is too late")
		}
		m.run(whole)
	}
}

// killedInAJob ends a server that owns a job. Processes that are started end
// with the whole test.
func killedInAJob(t, whole *testing.T, all []*member) {
	ran := filepath.Join(t.TempDir(), "ran")
	a := all[1].rind(t, "*", "cmd.run", "sleep 5; echo x; echo ran >> "+ran, "--async", "--timeout", "60s", "-o", "json")
	var job struct{ JID string }
	if err := json.Unmarshal([]byte(a.out), &job); err != nil || job.JID == "" {
		t.Fatalf("the job: %+v, %v", a, err)
	}
	time.Sleep(time.Second)
	all[1].proc.kill9()
	began := time.Now()
	var got struct {
		Job struct {
			State   string
			Summary struct{ Answered, Failed, Missing int }
		}
		Returns []struct {
			Peel  string
			OK    bool
			Value json.RawMessage
		}
	}
	eventually(t, 90*time.Second, "another server finishes the job", func() error {
		a := all[0].rind(t, "job", "show", job.JID, "-o", "json")
		got.Returns = nil
		if err := json.Unmarshal([]byte(a.out), &got); err != nil {
			return fmt.Errorf("%w: %+v", err, a)
		}
		if got.Job.State != "done" {
			return fmt.Errorf("it is %s: %s", got.Job.State, a.out)
		}
		return nil
	})
	took := time.Since(began)
	t.Logf("finished %s after the kill", took.Round(10*time.Millisecond))
	if took > 29*time.Second { // 20 s and an election, of up to 9 s
		t.Errorf("that is too late")
	}
	peels := map[string]int{}
	for _, r := range got.Returns {
		peels[r.Peel]++
		if !r.OK || !strings.Contains(string(r.Value), "x") {
			t.Errorf("%s returned %s", r.Peel, r.Value)
		}
	}
	if len(peels) != 3 || len(got.Returns) != 3 || got.Job.Summary.Answered != 3 || got.Job.Summary.Missing != 0 {
		t.Errorf("returns of %v, %+v", peels, got.Job.Summary)
	}
	text, err := os.ReadFile(ran)
	if err != nil || strings.Count(string(text), "ran") != 3 {
		t.Errorf("it ran %d times, %v", strings.Count(string(text), "ran"), err)
	}
	all[1].run(whole)
}

func rollingRestart(t, whole *testing.T, all []*member) {
	var token struct{ Token string }
	a := all[0].rind(t, "token", "create", "roller", "--role", "operator", "-o", "json")
	if err := json.Unmarshal([]byte(a.out), &token); err != nil || token.Token == "" {
		t.Fatalf("a token: %+v, %v", a, err)
	}
	env := []string{"NO_COLOR=1", "RIND_TOKEN=" + token.Token, "RIND_PIN=" + all[0].pin,
		"RIND_SERVER=" + all[0].url + "," + all[1].url + "," + all[2].url, "RIND_SOCKET="}
	var stop atomic.Bool
	var commands, failed int
	done := make(chan struct{})
	go func() {
		defer close(done)
		for !stop.Load() {
			commands++
			if a := command(t, env, program(t, "rind"), "*", "test.ping"); a.code != 0 {
				failed++
				t.Errorf("command %d, at %s: %+v", commands, time.Now().Format(time.TimeOnly), a)
			}
		}
	}()
	for i, m := range all {
		time.Sleep(3 * time.Second)
		began := time.Now()
		_ = m.proc.Process.Signal(syscall.SIGTERM)
		select {
		case <-m.proc.done:
		case <-time.After(time.Minute):
			t.Fatalf("server %d does not end", i)
		}
		ended := time.Since(began)
		m.run(whole)
		t.Logf("server %d ended after %s and serves again after %s more", i, ended.Round(time.Millisecond), (time.Since(began) - ended).Round(time.Millisecond))
	}
	time.Sleep(3 * time.Second)
	stop.Store(true)
	<-done
	t.Logf("%d commands, %d failed", commands, failed)
	if commands < 10 {
		t.Errorf("only %d commands were given", commands)
	}
}
