package socket

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/rind-project/rind/internal/fleet/bus"
	"github.com/rind-project/rind/internal/fleet/peel"
)

// Socket is one peel's connection. It connects again by itself, as the client
// library does.
type Socket struct {
	d     *Dialer
	lane  *lane
	cfg   bus.ConnConfig
	on    peel.SocketEvents
	inbox string // prefix of the answers' subjects, with the dot
	calls peel.Calls

	out sync.Mutex // one write at a time

	mu     sync.Mutex
	line   *line // nil while it is away
	urls   []string
	subs   []subscription  // by sid, from 1 on
	pongs  []chan struct{} // of pings that are not answered; nil for those that test the connection
	closed bool
}

type subscription struct {
	subject string
	fn      func(string, []byte) // nil: not any more
}

// Test sends a ping, unless too many are not answered.
func (s *Socket) Test() {
	s.mu.Lock()
	l := s.line
	late := len(s.pongs) >= s.cfg.MaxPingsOut
	if l != nil && !late {
		s.pongs = append(s.pongs, nil)
	}
	s.mu.Unlock()
	switch {
	case l == nil:
	case late:
		s.lost(l, nats.ErrStaleConnection)
	default:
		_ = s.write("PING\r\n", nil, "") // a broken line is noticed by its reader
	}
}

// Publish sends a message.
func (s *Socket) Publish(subject string, data []byte) error {
	return s.write("PUB "+subject+" "+strconv.Itoa(len(data))+"\r\n", data, "\r\n")
}

func (s *Socket) publish(subject, reply string, data []byte) error {
	return s.write("PUB "+subject+" "+reply+" "+strconv.Itoa(len(data))+"\r\n", data, "\r\n")
}

// Call asks the masters.
func (s *Socket) Call(subject string, data []byte, limit time.Duration, done func([]byte, error)) (forget func()) {
	return s.Request(subject, data, limit, func(data []byte, err error) {
		if err == nil {
			data, err = bus.ReadAnswer(data)
		}
		done(data, err)
	})
}

// Request is Call for an answer of any form.
func (s *Socket) Request(subject string, data []byte, limit time.Duration, done func([]byte, error)) (forget func()) {
	token := s.calls.Open(limit, done)
	if err := s.publish(subject, s.inbox+token, data); err != nil {
		s.calls.Settle(token, nil, err)
	}
	return func() { s.calls.Forget(token) }
}

// Subscribe calls fn for each message, one after the other.
func (s *Socket) Subscribe(subjects []string, fn func(string, []byte)) error {
	s.mu.Lock()
	var say strings.Builder
	for _, subject := range subjects {
		s.subs = append(s.subs, subscription{subject, fn})
		fmt.Fprintf(&say, "SUB %s %d\r\n", subject, len(s.subs))
	}
	s.mu.Unlock()
	if err := s.flush(say.String(), 10*time.Second); err != nil {
		return fmt.Errorf("subscribing to %s: %w", subjects, err)
	}
	return nil
}

// flush writes, and waits until the server has read it.
func (s *Socket) flush(say string, limit time.Duration) error {
	pong := make(chan struct{})
	s.mu.Lock()
	s.pongs = append(s.pongs, pong)
	s.mu.Unlock()
	if err := s.write(say, nil, "PING\r\n"); err != nil {
		return err
	}
	t := time.NewTimer(limit)
	defer t.Stop()
	select {
	case <-pong:
		return nil
	case <-t.C:
		return nats.ErrTimeout
	}
}

// Unsubscribe has nothing but answers heard.
func (s *Socket) Unsubscribe() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.subs {
		s.subs[i].fn = nil
	}
}

// Connected reports whether it is up now.
func (s *Socket) Connected() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.line != nil
}

// Drain ends the connection when the answers that are waited for have come.
func (s *Socket) Drain() {
	go func() {
		s.Unsubscribe()
		for end := time.Now().Add(s.cfg.DrainTimeout); time.Now().Before(end) && s.calls.Waiting() > 0; {
			time.Sleep(50 * time.Millisecond)
		}
		s.Close()
	}()
}

// Close ends it.
func (s *Socket) Close() { s.close(nil) }

func (s *Socket) close(why error) {
	s.mu.Lock()
	before := s.closed
	s.closed = true
	s.mu.Unlock()
	if before {
		return
	}
	s.Cut()
	s.on.Closed(s, why)
}

// Cut breaks the connection, as a network does. It comes back by itself.
func (s *Socket) Cut() {
	s.mu.Lock()
	l := s.line
	s.mu.Unlock()
	if l != nil {
		s.lost(l, errors.New("cut"))
	}
}

// write sends head, data and tail in one write.
func (s *Socket) write(head string, data []byte, tail string) error {
	s.mu.Lock()
	l := s.line
	s.mu.Unlock()
	if l == nil {
		return nats.ErrConnectionClosed
	}
	b := buffers.Get().(*[]byte)
	defer buffers.Put(b)
	*b = append(append(append((*b)[:0], head...), data...), tail...)
	s.out.Lock()
	defer s.out.Unlock()
	_, err := l.conn.Write(*b)
	return err
}

// buffers are what is written from. A large one is left to the collector.
var buffers = sync.Pool{New: func() any { b := make([]byte, 0, 4096); return &b }}

// learn takes up addresses that a server named.
func (s *Socket) learn(more []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, u := range more {
		if !slices.Contains(s.urls, u) {
			s.urls = append(slices.Clip(s.urls), u)
		}
	}
}

// front puts the server that is connected to first, so that another one is
// tried first when it is lost.
func (s *Socket) front(server string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.Index(s.urls, server); i > 0 {
		s.urls = slices.Concat([]string{server}, s.urls[:i], s.urls[i+1:])
	}
}
