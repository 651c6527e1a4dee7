package uplink

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/network/report"
)

const (
	maxAnswer     = 16 << 10
	maxRetryAfter = 10 * time.Minute
	skewWarn      = time.Minute
	skewAgain     = 10 * time.Minute // between two warnings

	// From this size on a report is sent only when the node says that it takes
	// it (Expect, RFC 9110 section 10.1.1). A server over HTTP/1.1 takes in some
	// 256 KiB that it does not want; more, and the connection is cut together
	// with its answer.
	expectFrom = 128 << 10
)

// result is what came of one delivery.
type result struct {
	done    bool // the report left the spool
	denied  bool // the token is not taken
	refused int  // the status by which a node says that it will never take the report
	after   time.Duration
	err     error
}

// deliver sends one report to the node in use. After a failure the next node
// is in use.
func (s *Sender) deliver(ctx context.Context, e Entry) result {
	body, err := s.deps.Spool.Read(e)
	if err != nil {
		s.deps.Log.Error("a report in the spool is damaged and put aside", "sequence", e.Sequence, "error", err)
		s.quarantine(e, "damaged", err)
		return result{done: true}
	}
	r := s.post(ctx, e, body)
	if r.done {
		if err := s.deps.Spool.Remove(e); err != nil {
			s.deps.Log.Warn("a delivered report stays in the spool's folder; sent again it changes nothing", "error", err)
		}
		return r
	}
	if ctx.Err() != nil {
		return r
	}
	if r.refused != 0 {
		s.deps.Log.Error("the node will never take this report, it is put aside", "sequence", e.Sequence, "boot", e.Boot, "error", r.err)
		s.quarantine(e, strconv.Itoa(r.refused), r.err)
		return result{done: true}
	}
	s.failed(e, r)
	return r
}

// refusal reports whether after that answer a report is given up, if a node gave
// them: what a proxy or a wrong address may answer is tried again.
func refusal(status int) bool {
	switch status {
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity:
		return true
	}
	return false
}

func (s *Sender) quarantine(e Entry, reason string, err error) {
	s.deps.Spool.Quarantine(e)
	s.metrics.reports.WithLabelValues("quarantined_" + reason).Inc()
	s.mu.Lock()
	s.status.Quarantined++
	s.status.LastRefusal = err.Error()
	s.mu.Unlock()
}

// failed notes a delivery that will be tried again, and turns to the next
// node.
func (s *Sender) failed(e Entry, r result) {
	s.turn = (s.turn + 1) % len(s.targets)
	s.metrics.retries.Inc()
	s.mu.Lock()
	s.status.Retries++
	s.status.Denied = r.denied
	s.status.LastError = r.err.Error()
	s.mu.Unlock()
	if r.denied {
		s.deps.Log.Error("the node does not take this tap's token; reports are kept and tried again slowly", "waiting", s.deps.Spool.Stats().Reports, "error", r.err)
		return
	}
	s.deps.Log.Warn("a report could not be delivered and will be tried again", "sequence", e.Sequence, "waiting", s.deps.Spool.Stats().Reports, "error", r.err)
}

// post makes one request.
func (s *Sender) post(ctx context.Context, e Entry, body []byte) result {
	token, err := s.deps.Token()
	if err != nil || token == "" {
		return result{denied: true, err: errs.New(errs.Unauthorized, "there is no token: set node.token or node.token_file to what `rind tap add NAME` printed (%v)", err)}
	}
	target := &s.targets[s.turn]
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target.url, bytes.NewReader(body))
	if err != nil {
		return result{err: err}
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", report.ContentType)
	req.Header.Set("User-Agent", s.cfg.UserAgent)
	if len(body) >= expectFrom && !target.eager {
		req.Header.Set("Expect", "100-continue")
	}
	req.Header.Set("Rind-Boot", e.Boot)
	req.Header.Set("Rind-Sequence", strconv.FormatUint(e.Sequence, 10))
	began := s.deps.Now()
	req.Header.Set(report.TimeHeader, began.UTC().Format(time.RFC3339Nano))
	resp, err := target.client.Do(req)
	if err != nil {
		return result{err: fmt.Errorf("sending to a node: %w", err)}
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return result{err: fmt.Errorf("reading the answer of %s: %w", target.url, err)}
	}
	target.eager = target.eager || resp.StatusCode == http.StatusExpectationFailed
	s.metrics.took.Observe(s.deps.Now().Sub(began).Seconds())
	s.skew(resp, began)
	return s.judge(target.url, resp, answer)
}

// judge turns an answer into a result.
func (s *Sender) judge(target string, resp *http.Response, answer []byte) result {
	var a struct {
		Status string `json:"status"`
		Error  struct {
			Kind    string `json:"kind"`
			Message string `json:"message"`
		} `json:"error"`
	}
	err := json.Unmarshal(answer, &a)
	switch {
	case resp.StatusCode == http.StatusOK && err == nil && (a.Status == "committed" || a.Status == "duplicate"):
		s.succeeded(a.Status)
		return result{done: true}
	case resp.StatusCode == http.StatusOK:
		// Not a node, perhaps a proxy's page: nothing was committed.
		return result{err: errors.New(target + " answered 200, but not as a node does: check node.urls")}
	}
	message := a.Error.Message
	if message == "" {
		message = http.StatusText(resp.StatusCode)
	}
	r := result{err: fmt.Errorf("%s answered %d: %s", target, resp.StatusCode, message), after: retryAfter(resp, s.deps.Now())}
	if refusal(resp.StatusCode) && a.Error.Kind != "" {
		r.refused = resp.StatusCode
	}
	if resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden {
		r.denied = true
	}
	return r
}

func (s *Sender) succeeded(status string) {
	s.metrics.reports.WithLabelValues(status).Inc()
	s.mu.Lock()
	defer s.mu.Unlock()
	if status == "committed" {
		s.status.Committed++
	} else {
		s.status.Duplicates++
	}
	if s.status.LastError != "" {
		s.deps.Log.Info("delivery works again")
	}
	s.status.LastSuccess, s.status.LastError, s.status.Denied = s.deps.Now(), "", false
}

// retryAfter reads the header, in seconds or as a date, within bounds.
func retryAfter(resp *http.Response, now time.Time) time.Duration {
	h := resp.Header.Get("Retry-After")
	if seconds, err := strconv.ParseUint(h, 10, 31); err == nil {
		return min(time.Duration(seconds)*time.Second, maxRetryAfter)
	}
	if at, err := http.ParseTime(h); err == nil {
		return min(max(at.Sub(now), 0), maxRetryAfter)
	}
	return 0
}

// skew compares the node's clock with ours. Times of packets are ours, so a
// wrong clock puts them in the wrong place.
func (s *Sender) skew(resp *http.Response, began time.Time) {
	at, err := http.ParseTime(resp.Header.Get("Date"))
	if err != nil {
		return
	}
	now := s.deps.Now()
	// The header has whole seconds, and was written while we waited.
	skew := at.Add(500 * time.Millisecond).Sub(began.Add(now.Sub(began) / 2))
	s.metrics.skew.Set(skew.Seconds())
	s.mu.Lock()
	s.status.Skew = skew
	s.mu.Unlock()
	if skew.Abs() > skewWarn && now.Sub(s.warned) > skewAgain {
		s.warned = now
		s.deps.Log.Warn("this host's clock and the node's differ: set the clock, or times will be wrong by that much", "node_ahead", skew.Round(time.Second))
	}
}
