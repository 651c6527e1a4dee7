package socket

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/rind-project/rind/internal/fleet/bus"
)

// adopt makes a line the current one, says what is subscribed to, and reads.
func (s *Socket) adopt(l *line) error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		l.conn.Close()
		return nats.ErrConnectionClosed
	}
	var say strings.Builder
	for i, sub := range s.subs {
		fmt.Fprintf(&say, "SUB %s %d\r\n", sub.subject, 1+i)
	}
	s.line, s.pongs = l, nil
	s.mu.Unlock()
	go s.read(l)
	if say.Len() == 0 {
		return nil
	}
	return s.write(say.String(), nil, "")
}

// read handles what comes until the line breaks.
func (s *Socket) read(l *line) {
	for {
		text, err := l.readLine()
		if err == nil {
			err = s.handle(l, text)
		}
		if err != nil {
			s.lost(l, err)
			return
		}
	}
}

func (s *Socket) handle(l *line, text string) error {
	word, rest, _ := strings.Cut(text, " ")
	switch word {
	case "MSG", "HMSG":
		m, err := l.readMessage(text)
		if err == nil {
			s.deliver(m)
		}
		return err
	case "PING":
		return s.write("PONG\r\n", nil, "")
	case "PONG":
		s.mu.Lock()
		if len(s.pongs) > 0 {
			if s.pongs[0] != nil {
				close(s.pongs[0])
			}
			if s.pongs = s.pongs[1:]; len(s.pongs) == 0 {
				s.pongs = nil
			}
		}
		s.mu.Unlock()
	case "INFO":
		var in info
		if err := json.Unmarshal([]byte(rest), &in); err != nil {
			return fmt.Errorf("reading the server's news: %w", err)
		}
		if len(in.ConnectURLs) > 0 {
			s.learn(s.d.servers(in.ConnectURLs))
		}
	case "-ERR":
		s.refused(serverError(text))
		if s.cfg.Log != nil {
			s.cfg.Log.Warn("bus error", "error", serverError(text))
		}
	}
	return nil
}

func (s *Socket) deliver(m message) {
	if token, isAnswer := strings.CutPrefix(m.subject, s.inbox); isAnswer {
		if m.status == "503" {
			s.calls.Settle(token, nil, bus.ErrNoMaster)
			return
		}
		s.calls.Settle(token, m.data, nil)
		return
	}
	s.mu.Lock()
	var fn func(string, []byte)
	if i := m.sid - 1; i >= 0 && i < len(s.subs) {
		fn = s.subs[i].fn
	}
	s.mu.Unlock()
	if fn != nil {
		s.lane.put(delivery{fn, m.subject, m.data})
	}
}

// lost ends a line, and begins to connect again.
func (s *Socket) lost(l *line, why error) {
	s.mu.Lock()
	if s.line != l {
		s.mu.Unlock()
		return
	}
	s.line = nil
	closed := s.closed
	s.mu.Unlock()
	l.conn.Close()
	s.calls.Fail(nats.ErrConnectionClosed)
	if closed {
		return
	}
	if s.cfg.Log != nil {
		s.cfg.Log.Warn("disconnected from the bus", "error", why)
	}
	s.on.Down(s)
	s.again(0)
}

// again tries the next server: at once while there is one that was not tried
// yet, and after a pause when all were. There is no goroutine in the pause.
func (s *Socket) again(try int) {
	s.mu.Lock()
	n := len(s.urls)
	next := s.urls[(try+1)%n]
	s.mu.Unlock()
	pause := time.Duration(0)
	if try%n == n-1 {
		pause = wait(s.cfg.ReconnectWait)
	}
	time.AfterFunc(pause, func() {
		s.mu.Lock()
		closed := s.closed
		s.mu.Unlock()
		if closed {
			return
		}
		if s.cfg.MaxReconnects >= 0 && try/n >= s.cfg.MaxReconnects {
			s.close(nats.ErrNoServers)
			return
		}
		if err := s.connect(next); err != nil {
			s.again(try + 1)
			return
		}
		s.on.Up(s)
	})
}
