package peel

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet/bus"
)

// Pace of renewals.
const (
	renewRetry   = 30 * time.Second // after a renewal that failed, jittered
	cutTolerated = 5 * time.Minute  // without a connection before the permission is suspected, though no server said so
	cutRenew     = 5 * time.Minute  // between renewals on suspicion, jittered
	lookEvery    = time.Minute      // at the connection, while no renewal is due
	refusedLook  = 10 * time.Second // when the bus did not take the permission, jittered
	libraryPing  = 5 * time.Minute  // between pings of the client library: heartbeats test the connection
)

// link holds the connection to the bus. A renewal replaces it by a second one
// before the first is drained, so that the peel is never away.
type link struct {
	p *Peel
	r *running

	refused atomic.Bool // the bus did not take the permission; asked about at the next look

	mu      sync.Mutex
	sock    Socket
	on      bool // counted as connected
	closing bool
	ready   chan struct{} // closed at the first connection
	ordered atomic.Bool   // the permission is to be renewed before its time
	look    *time.Timer   // at the clock and the connection
	looking sync.Mutex    // one look at a time
	renewal renewal
}

func newLink(p *Peel, r *running) *link {
	return &link{p: p, r: r, ready: make(chan struct{})}
}

func (l *link) start() {
	l.r.begin(func() {
		for err := l.connect(l.r.ctx, false); err != nil; err = l.connect(l.r.ctx, false) {
			if !errors.Is(err, errNotHeard) {
				if l.r.ctx.Err() == nil {
					l.p.died <- err
				}
				return
			}
			l.p.metrics.retries.Inc()
			l.p.log.Warn("connected to the bus, which does not take subscriptions yet", "error", err)
			if !l.r.sleep(l.p.cfg.ReconnectWait/2 + rand.N(l.p.cfg.ReconnectWait)) {
				return
			}
		}
		close(l.ready)
		l.p.log.Info("connected to the bus", "peel", l.p.id)
		l.p.speak(l.r)
	})
	l.renewal = renewal{at: l.p.creds.RenewAt(), cutSince: time.Now(), askNext: time.Now()}
	l.mu.Lock()
	l.look = l.r.again(l.renewal.pause(), l.watchRenewal)
	l.mu.Unlock()
	if l.refused.Load() { // meanwhile
		l.lookSoon()
	}
}

// errNotHeard says that the bus did not take the subscriptions in time: it has
// too much to do just now.
var errNotHeard = errors.New("the bus does not answer")

// connect makes a connection the current one, with its subscriptions. Once
// says to try once only.
func (l *link) connect(ctx context.Context, once bool) error {
	cfg, err := l.config()
	if err != nil {
		return err
	}
	cfg.Once = once
	sock, err := l.p.deps.Dial(ctx, cfg, l.events())
	if err != nil {
		return err
	}
	if err := sock.Subscribe([]string{bus.ToAll, bus.ToPeel(l.p.id)}, l.heard); err != nil {
		sock.Close()
		return fmt.Errorf("%w: %w", errNotHeard, err)
	}
	l.mu.Lock()
	if l.closing {
		l.mu.Unlock()
		sock.Close()
		return errStopping
	}
	old := l.sock
	l.sock = sock
	l.mu.Unlock()
	if old != nil {
		old.Drain()
	}
	l.made()
	return nil
}

// heard takes a message. What it is about stands in its subject.
func (l *link) heard(subject string, data []byte) {
	switch subject {
	case bus.JobAll, bus.JobSubject(l.p.id):
		l.p.onJob(l.r, data)
	case bus.NoticeAll, bus.NoticeSubject(l.p.id):
		l.r.settings.asking.onNotice(data)
	}
}

// made notes that a connection was made, with its subscriptions.
func (l *link) made() {
	l.count(true)
	l.r.hello.Store(true)
	l.p.catchUpSoon(l.r)
	l.r.settings.asking.connected()
}

func (l *link) config() (bus.ConnConfig, error) {
	cfg, err := l.p.creds.BusConfig(l.p.log)
	if err != nil {
		return cfg, err
	}
	c := l.p.cfg
	cfg.Name = bus.ConnName(l.p.id, l.p.mark)
	cfg.OnRefused = func(error) {
		if !l.refused.Swap(true) {
			l.lookSoon()
		}
	}
	cfg.MaxReconnects, cfg.ReconnectWait, cfg.ReconnectBufSize = c.MaxReconnects, c.ReconnectWait, int(c.ReconnectBufSize)
	cfg.PingInterval, cfg.MaxPingsOut, cfg.DrainTimeout = libraryPing, c.MaxPingsOut, c.DrainTimeout
	return cfg, nil
}

// events keeps count of the current connection, and ends the peel when that
// was given up.
func (l *link) events() SocketEvents {
	return SocketEvents{
		Up: func(s Socket) {
			if l.current() == s { // again: its subscriptions are there
				l.made()
			}
		},
		Down: func(s Socket) {
			if l.current() == s {
				l.count(false)
			}
		},
		Closed: func(s Socket, err error) {
			if l.current() == s && !l.stopping() {
				l.p.died <- fmt.Errorf("the connection to the bus was given up after max_reconnects: %w", err)
			}
		},
	}
}

// count keeps the number of peels of this process that are connected.
func (l *link) count(on bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case on && !l.on:
		l.p.metrics.connected.Inc()
	case !on && l.on:
		l.p.metrics.connected.Dec()
	}
	l.on = on
}

// renewal is when to renew the permission. Only watchRenewal touches it, which
// looking guards.
type renewal struct {
	at                time.Time
	cutSince, askNext time.Time
}

// renewSoon renews the permission before its time.
func (l *link) renewSoon() {
	l.ordered.Store(true)
	l.lookIn(0)
}

// lookSoon looks at why the bus did not take the permission.
func (l *link) lookSoon() { l.lookIn(refusedLook/2 + rand.N(refusedLook/2)) }

func (l *link) lookIn(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.look != nil {
		l.look.Reset(d)
	}
}

// pause is how long to wait before the next look.
func (n *renewal) pause() time.Duration {
	return min(max(time.Until(n.at), 0), lookEvery/2+rand.N(lookEvery/2))
}

// watchRenewal renews the permission when it is time, and when the connection
// is away for so long that the permission may be why.
func (l *link) watchRenewal() time.Duration {
	l.looking.Lock()
	defer l.looking.Unlock()
	n := &l.renewal
	if l.ordered.Swap(false) {
		n.at = time.Now()
	}
	if l.up() {
		n.cutSince = time.Now()
		l.refused.Store(false)
	}
	suspicious := time.Since(n.cutSince) > cutTolerated || l.refused.Load() && time.Now().After(n.askNext)
	if time.Now().Before(n.at) && !suspicious {
		return n.pause()
	}
	err := l.renew()
	switch {
	case err != nil:
		if l.r.ctx.Err() == nil {
			l.p.metrics.renewals.WithLabelValues("failed").Inc()
			l.complain(err)
		}
		n.at = time.Now().Add(renewRetry/2 + rand.N(renewRetry))
	default:
		l.p.metrics.renewals.WithLabelValues("ok").Inc()
		n.at = l.p.creds.RenewAt()
	}
	if suspicious {
		l.refused.Store(false)
		n.askNext = time.Now().Add(cutRenew/2 + rand.N(cutRenew))
		n.cutSince = n.askNext
	}
	return n.pause()
}

// complain logs why there is no new permission: a server that refuses has a
// reason that a person has to know.
func (l *link) complain(err error) {
	if errs.Is(err, errs.Forbidden) || errs.Is(err, errs.Gone) {
		l.p.log.Error("the server gives this peel no permission for the bus", "error", err)
		return
	}
	l.p.log.Warn("cannot renew the permission for the bus yet", "error", err)
}

// renew gets a new permission and moves to a connection under it. When the bus
// is away just now, the present connection comes back with the new one.
func (l *link) renew() error {
	ctx, cancel := context.WithTimeout(l.r.ctx, time.Minute)
	defer cancel()
	if err := l.p.creds.Renew(ctx); err != nil {
		return err
	}
	if !l.up() {
		return nil
	}
	if err := l.connect(ctx, true); err != nil && !errors.Is(err, errStopping) {
		return fmt.Errorf("moving to a connection under the renewed permission: %w", err)
	}
	return nil
}

// current returns the connection, nil before the first.
func (l *link) current() Socket {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.sock
}

func (l *link) up() bool {
	s := l.current()
	return s != nil && s.Connected()
}

func (l *link) stopping() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closing
}

// quiet takes no more jobs.
func (l *link) quiet() {
	l.mu.Lock()
	l.closing = true
	s := l.sock
	l.mu.Unlock()
	if s != nil {
		s.Unsubscribe()
	}
}

func (l *link) close() {
	if s := l.current(); s != nil {
		s.Close()
	}
	l.count(false)
}

// tell sends a message to the masters and waits until one has stored it.
func (l *link) tell(ctx context.Context, subject string, data []byte, patience time.Duration) error {
	_, err := l.ask(ctx, subject, data, patience)
	return err
}
