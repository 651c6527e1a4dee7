package api_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rind-project/rind/internal/access"
	"github.com/rind-project/rind/internal/api/apitest"
	"github.com/rind-project/rind/internal/fleet"
)

// open opens a stream of events and gives its lines.
func open(t *testing.T, s *apitest.Server, path string) (lines *bufio.Scanner, hangUp context.CancelFunc) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+"/api/v1"+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+s.Token(t, access.Viewer))
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); _ = res.Body.Close() })
	if kind := res.Header.Get("Content-Type"); res.StatusCode != http.StatusOK || kind != "text/event-stream" {
		body, _ := io.ReadAll(res.Body)
		t.Fatalf("%s %q %s", res.Status, kind, body)
	}
	return bufio.NewScanner(res.Body), cancel
}

// next reads one event, without comments.
func next(lines *bufio.Scanner) (name, data string) {
	for lines.Scan() {
		line := lines.Text()
		switch {
		case strings.HasPrefix(line, "event: "):
			name = line[len("event: "):]
		case strings.HasPrefix(line, "data: "):
			data = line[len("data: "):]
		case line == "" && name != "":
			return name, data
		}
	}
	return name, data
}

func runJob(t *testing.T, s *apitest.Server) fleet.Job {
	t.Helper()
	job, err := s.Fleet.Run(t.Context(), fleet.JobRequest{Target: "*", Function: "test.ping"})
	if err != nil {
		t.Fatal(err)
	}
	return job
}

// TestEventsOfAJobAreFlushed lets each event out only after the one before has
// arrived.
func TestEventsOfAJobAreFlushed(t *testing.T) {
	t.Parallel()
	s := apitest.Start(t, nil)
	s.Fleet.Gate = make(chan struct{})
	s.Fleet.Add(peel("web-01"), apitest.Always(apitest.OK("line\nbreak")))
	s.Fleet.Add(peel("web-02"), apitest.Always(&fleet.Return{Error: "no"}))
	s.Fleet.Add(peel("web-03"), apitest.Always(nil))
	job := runJob(t, s)
	lines, _ := open(t, s, "/jobs/"+job.JID+"/events")
	for _, want := range []string{"web-01", "web-02"} {
		s.Fleet.Gate <- struct{}{}
		name, data := next(lines)
		var r fleet.Return
		if err := json.Unmarshal([]byte(data), &r); err != nil || name != "return" || string(r.Peel) != want {
			t.Fatalf("got %q %s, want the return of %s", name, data, want)
		}
	}
	s.Fleet.Gate <- struct{}{}
	name, data := next(lines)
	var done fleet.Job
	if err := json.Unmarshal([]byte(data), &done); err != nil || name != "done" || done.Summary.Missing != 1 {
		t.Errorf("the last event is %q %s", name, data)
	}
	if lines.Scan() {
		t.Errorf("after done comes %q", lines.Text())
	}
}

func TestStopEndsStreams(t *testing.T) {
	t.Parallel()
	s := apitest.Start(t, nil)
	lines, _ := open(t, s, "/events")
	for s.Fleet.Watching() == 0 {
		time.Sleep(time.Millisecond)
	}
	s.Fleet.Change()
	if name, _ := next(lines); name != "peels" {
		t.Fatalf("got %q", name)
	}
	if err := s.API.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	for lines.Scan() { // ends, or the context of the test does
	}
	if err := lines.Err(); err != nil {
		t.Errorf("the stream ended badly: %v", err)
	}
}

func TestChangesAreTold(t *testing.T) {
	t.Parallel()
	s := apitest.Start(t, nil)
	lines, hangUp := open(t, s, "/events")
	for s.Fleet.Watching() == 0 {
		time.Sleep(time.Millisecond)
	}
	for range 50 {
		s.Fleet.Change()
	}
	for _, want := range []string{"peels", "jobs"} {
		if name, data := next(lines); name != want || data != `{"time":"2026-03-01T12:00:00Z"}` {
			t.Errorf("got %q %s, want %q", name, data, want)
		}
	}
	hangUp()
	for wait := 0; s.Fleet.Watching() > 0; wait++ {
		if wait > 5000 {
			t.Fatal("a client that hung up is still served")
		}
		time.Sleep(time.Millisecond)
	}
}
