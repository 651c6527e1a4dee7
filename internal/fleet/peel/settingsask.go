package peel

import (
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/rind-project/rind/internal/fleet/bus"
	"github.com/rind-project/rind/internal/fleet/settings"
)

// asking is when to ask for settings: after each connection, when a notice
// tells of new ones, and now and then. Nothing but a timer waits.
type asking struct {
	k *keeper

	one sync.Mutex // one question at a time

	mu    sync.Mutex
	timer *time.Timer
	due   time.Time
	wait  time.Duration // after the last try, that failed
	want  settings.Notice
	until time.Time // when it is given up to insist on the revision of want
}

// connected asks after a connection: while there was none, notices have been
// lost.
func (s *asking) connected() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.soon(s.k.p.cfg.Settings.Jitter)
}

// soon asks within a time, unless it will be earlier already.
func (s *asking) soon(within time.Duration) {
	at := time.Now().Add(rand.N(within + 1))
	if s.due.IsZero() || at.Before(s.due) {
		s.due = at
		s.arm()
	}
}

func (s *asking) arm() {
	d := max(0, time.Until(s.due))
	if s.timer == nil {
		s.timer = time.AfterFunc(d, s.tick)
		return
	}
	s.timer.Reset(d)
}

// onNotice takes a notice.
func (s *asking) onNotice(data []byte) {
	n, ok := settings.ParseNotice(data)
	if !ok {
		return
	}
	revision, _ := s.k.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if n.Revision != "" && n.Revision == revision || n.At < s.want.At {
		return
	}
	s.want, s.until, s.wait = n, time.Now().Add(insist), 0
	s.soon(time.Duration(n.Spread) * time.Millisecond)
}

// tick asks, and says when to ask next. Without a connection it is asked when
// there is one.
func (s *asking) tick() {
	if !s.k.r.enter() {
		return
	}
	defer s.k.r.wg.Done()
	s.one.Lock()
	defer s.one.Unlock()
	s.mu.Lock()
	want, early := s.want, time.Now().Before(s.due)
	if early {
		s.arm()
	} else {
		s.due = time.Time{}
	}
	s.mu.Unlock()
	if early || !s.k.r.link.up() {
		return
	}
	again := s.ask(want)
	if s.k.r.ctx.Err() != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !again {
		s.wait = 0
		interval := s.k.p.cfg.Settings.Interval
		s.next(interval*9/10 + rand.N(interval/5+1))
		return
	}
	s.wait = min(max(2*s.wait, firstRetry), lastRetry)
	s.next(s.wait/2 + rand.N(s.wait))
}

// next asks in a time, unless somebody wanted it earlier meanwhile.
func (s *asking) next(in time.Duration) {
	if at := time.Now().Add(in); s.due.IsZero() || at.Before(s.due) {
		s.due = at
	}
	s.arm()
}

// ask asks once, and reports whether to try again soon.
func (s *asking) ask(want settings.Notice) (again bool) {
	k := s.k
	c, err := k.ask(want.At)
	s.mu.Lock()
	late := time.Now().After(s.until)
	s.mu.Unlock()
	switch {
	case k.r.ctx.Err() != nil:
	case errors.Is(err, bus.ErrRefused):
		k.p.metrics.settings.WithLabelValues("refused").Inc()
		k.p.log.Error("a master does not give the settings; those that are here stay", "error", err)
	case errors.Is(err, errForged):
		k.p.log.Error("settings have come that no master has signed for this question; masters of an earlier version sign none", "error", err)
		return true
	case err != nil:
		k.p.metrics.settings.WithLabelValues("failed").Inc()
		k.p.log.Debug("the settings have not come yet", "error", err)
		return true
	case !late && c.At == want.At && want.Revision != "" && c.Revision != want.Revision:
		return true // another master has not seen yet what the notice is about
	}
	return false
}

// ask asks once for the settings, of a state at least, and takes the answer.
func (k *keeper) ask(at int64) (c settings.Compiled, err error) {
	q, err := k.request(at)
	if err != nil {
		return c, err
	}
	answer, err := k.r.link.ask(k.r.ctx, bus.AskSubject(k.p.id, settings.AskGet), q.data, askWait)
	if err != nil {
		return c, err
	}
	return k.answered(q, answer)
}
