package httpserver

import (
	"log/slog"
	"regexp"
	"strings"
	"sync"
	"time"
)

// strangers takes what net/http itself logs: failed handshakes and broken
// requests, which are not the operator's concern and go to the debug level.
// Only who speaks another protocol than HTTPS is worth a warning, since that is
// a wrong address in somebody's configuration, and who has it may not be told.
type strangers struct {
	log  *slog.Logger
	hint string

	mu    sync.Mutex
	told  map[string]time.Time // by reason, when it was told last
	since map[string]int       // by reason, how many came since then
}

// tellAgain is the time between two warnings of one reason.
const tellAgain = time.Minute

func newStrangers(log *slog.Logger, hint string) *strangers {
	if hint == "" {
		hint = "this port speaks HTTPS only: write https:// before its address, and check the port"
	}
	return &strangers{log: log.With("component", "net/http"), hint: hint, told: map[string]time.Time{}, since: map[string]int{}}
}

// handshake is how net/http words a failed one.
var handshake = regexp.MustCompile(`^http: TLS handshake error from ([^ ]+): (.*)$`)

// Write implements io.Writer for one line.
func (s *strangers) Write(line []byte) (int, error) {
	text := strings.TrimSpace(string(line))
	m := handshake.FindStringSubmatch(text)
	if m == nil {
		s.log.Debug(text)
		return len(line), nil
	}
	switch {
	case strings.Contains(m[2], "HTTP request to an HTTPS server"):
		s.warn("plain_http", "a client speaks plain HTTP on the HTTPS port", m[1])
	case strings.Contains(m[2], "does not look like a TLS handshake"):
		s.warn("no_tls", "a client speaks something other than TLS on the HTTPS port", m[1])
	default:
		s.log.Debug(text)
	}
	return len(line), nil
}

// warn tells of the first of a kind, and of further ones once a minute.
func (s *strangers) warn(reason, msg, from string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.since[reason]++
	if last, ok := s.told[reason]; ok && time.Since(last) < tellAgain {
		return
	}
	s.log.Warn(msg, "from", from, "times", s.since[reason], "reason", reason, "hint", s.hint)
	s.told[reason], s.since[reason] = time.Now(), 0
}
