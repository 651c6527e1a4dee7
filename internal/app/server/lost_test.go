package server

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/rind-project/rind/internal/access"
	"github.com/rind-project/rind/internal/fleet/bus"
	"github.com/rind-project/rind/internal/fleet/enroll"
)

// lose deletes a bucket behind the server's back, and returns how it was made.
func (r *running) lose(t *testing.T, bucket string) jetstream.StreamConfig {
	t.Helper()
	js := r.Server.client.js
	s, err := js.Stream(t.Context(), "KV_"+bucket)
	if err != nil {
		t.Fatal(err)
	}
	cfg := s.CachedInfo().Config
	if err := js.DeleteStream(t.Context(), "KV_"+bucket); err != nil {
		t.Fatal(err)
	}
	return cfg
}

// saysLost checks that the server says what is gone, and what to do: to a
// supervisor, in the overview, and in its log.
func (r *running) saysLost(t *testing.T, bucket string) {
	t.Helper()
	says := func(text string) bool {
		return strings.Contains(text, bucket) && strings.Contains(text, "rind restore")
	}
	eventually(t, 20*time.Second, "/readyz says that "+bucket+" is gone", func() bool {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.URL()+"/readyz", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+r.token(t, access.Viewer))
		a := r.send(t, req)
		return a.status == http.StatusServiceUnavailable && says(a.body)
	})
	eventually(t, 20*time.Second, "the overview says that "+bucket+" is gone", func() bool {
		return says(r.call(t, r.token(t, access.Viewer), http.MethodGet, "/overview", nil, nil).body)
	})
	eventually(t, 20*time.Second, "the log says that "+bucket+" is gone", func() bool {
		return strings.Contains(r.log.String(), "level=ERROR msg=\"somebody deleted what cannot be made again") && says(r.log.String())
	})
}

// refusesToStart checks that the next start makes nothing anew.
func (r *running) refusesToStart(t *testing.T, bucket string) {
	t.Helper()
	stop(t, r.Server)
	again, _ := newServer(r.cfg)
	if err := again.Start(t.Context()); err == nil {
		stop(t, again)
		t.Errorf("the next start went well without %s", bucket)
	} else if !strings.Contains(err.Error(), bucket) || !strings.Contains(err.Error(), "rind restore") {
		t.Errorf("the next start says: %v", err)
	}
}

func TestTheBucketOfJobsIsLost(t *testing.T) {
	t.Parallel()
	r := start(t, testConfig(dataDir(t)))
	agent(t, r.enroll(t, "web-01"))
	r.lose(t, bus.Jobs)
	r.saysLost(t, bus.Jobs)
	a := r.call(t, r.token(t, access.Admin), http.MethodPost, "/jobs", map[string]any{"target": "*", "function": "test.ping", "timeout": "5s"}, nil)
	if a.status != http.StatusServiceUnavailable || !strings.Contains(a.body, "is not sent") || !strings.Contains(a.body, "rind restore") {
		t.Errorf("a job: %d %s", a.status, a.body)
	}
	r.refusesToStart(t, bus.Jobs)
}

func TestTheBucketOfEnrollmentsIsLost(t *testing.T) {
	t.Parallel()
	r := start(t, testConfig(dataDir(t)))
	p, _ := agent(t, r.enroll(t, "web-01"))
	cfg := r.lose(t, bus.Enrollments)
	r.saysLost(t, bus.Enrollments)
	admin := r.token(t, access.Admin)
	if ids := r.enrolled(t); len(ids) != 1 || !p.Connected() {
		t.Errorf("the peels are %v", ids)
	}
	if a := r.call(t, admin, http.MethodPost, "/enrollments/web-01/revoke", nil, nil); a.status != http.StatusServiceUnavailable || !strings.Contains(a.body, "rind restore") {
		t.Errorf("revoking: %d %s", a.status, a.body)
	}
	if _, err := r.enrollIn(t, "web-02", dataDir(t), true); err == nil || !strings.Contains(err.Error(), "rind restore") {
		t.Errorf("enrolling: %v", err)
	}
	if ids := r.enrolled(t); len(ids) != 1 {
		t.Errorf("the peels are %v", ids)
	}
	// Brought back, it is followed again without a restart.
	js := r.Server.client.js
	if _, err := js.CreateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	if _, err := js.Publish(t.Context(), "$KV."+bus.Enrollments+".web-09", []byte(`{"id":"web-09","state":"pending","public_key":"U"}`)); err != nil {
		t.Fatal(err)
	}
	eventually(t, 30*time.Second, "what is in the restored bucket is listed", func() bool {
		var out struct{ Enrollments []enroll.Record }
		r.call(t, admin, http.MethodGet, "/enrollments?state=pending", nil, &out)
		return len(out.Enrollments) == 1
	})
	eventually(t, 20*time.Second, "the server is ready again", func() bool {
		return len(r.problems(t.Context())) == 0
	})
	r.lose(t, bus.Enrollments)
	r.refusesToStart(t, bus.Enrollments)
}

func TestTheBucketOfFactsIsLost(t *testing.T) {
	t.Parallel()
	r := start(t, testConfig(dataDir(t)))
	r.lose(t, bus.Facts)
	_, _ = agent(t, r.enroll(t, "web-01"))
	r.saysLost(t, bus.Facts)
	// Jobs go on; the facts are not taken, and that is counted.
	a := r.call(t, r.token(t, access.Admin), http.MethodPost, "/jobs", map[string]any{"target": "*", "function": "test.ping", "timeout": "20s"}, nil)
	if a.status != http.StatusOK {
		t.Errorf("a job: %d %s", a.status, a.body)
	}
	eventually(t, 30*time.Second, "facts that were not stored are counted", func() bool {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.URL()+"/metrics", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+r.token(t, access.Viewer))
		body := r.send(t, req).body
		return strings.Contains(body, "rind_master_unstored_messages_total") && !strings.Contains(body, "rind_master_unstored_messages_total 0")
	})
	r.refusesToStart(t, bus.Facts)
}

// What holds nothing of value is made again, and works.
func TestTheNoncesAreLost(t *testing.T) {
	t.Parallel()
	r := start(t, testConfig(dataDir(t)))
	r.lose(t, bus.EnrollChallenges)
	r.lose(t, bus.MasterHeartbeat)
	eventually(t, 20*time.Second, "they are made again", func() bool {
		return strings.Count(r.log.String(), "it is made again") >= 2
	})
	agent(t, r.enroll(t, "web-01"))
	if problems := r.problems(t.Context()); len(problems) > 0 {
		t.Errorf("the server says %q", problems)
	}
}
