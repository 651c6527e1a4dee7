package master

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"golang.org/x/time/rate"

	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/bus"
)

// Bounds of what peels may ask.
const (
	askWorkers = 64
	askWait    = 10 * time.Second // for one answer
	askRate    = 50               // per second and peel
	askBurst   = 200
)

// asks answers what peels ask: each question is taken by one master, and by
// one of so many workers. A peel that asks more often than it may is told to
// wait, and counted.
type asks struct {
	m    *Master
	l    *live
	by   map[string]bus.Answerer
	slot chan struct{}
	pace *pace
}

func (m *Master) answerAsks(l *live) error {
	a := &asks{m: m, l: l, by: map[string]bus.Answerer{}, slot: make(chan struct{}, askWorkers), pace: newPace(askRate, askBurst)}
	for what, fn := range m.deps.Answers {
		a.by[what] = fn
	}
	return l.subscribeQueue(bus.AllAsks, a.onAsk)
}

func (a *asks) onAsk(msg *nats.Msg) {
	id, what, ok := bus.ParseAsk(msg.Subject)
	if !ok {
		a.m.metrics.stray.WithLabelValues("malformed").Inc()
		return
	}
	if what == bus.CatchUpAsk {
		return // every master takes that, see listenForReturning
	}
	if !ownReply(msg, id) {
		a.m.metrics.stray.WithLabelValues("reply").Inc()
		return
	}
	fn := a.by[what]
	if fn == nil {
		a.m.metrics.asks.WithLabelValues("refused").Inc()
		bus.Refuse(msg, fmt.Sprintf("no master answers %.64q", what))
		return
	}
	if !a.pace.allow(id, time.Now()) {
		a.m.metrics.asks.WithLabelValues("too_often").Inc()
		bus.Retry(msg, fmt.Sprintf("this peel asks more than %d times a second; ask later", askRate))
		return
	}
	select {
	case a.slot <- struct{}{}:
	case <-a.l.ctx.Done():
		return
	}
	a.l.wg.Go(func() {
		defer func() { <-a.slot }()
		ctx, cancel := context.WithTimeout(a.l.ctx, askWait)
		defer cancel()
		data, err := fn(ctx, id, msg.Data)
		result := "ok"
		if err != nil {
			result = "failed"
		}
		a.m.metrics.asks.WithLabelValues(result).Inc()
		bus.Answer(msg, data, err)
	})
}

// maxPaced bounds the peels whose pace is remembered.
const maxPaced = 1 << 17

// pace bounds how often each peel may do something.
type pace struct {
	per   rate.Limit
	burst int

	mu sync.Mutex
	by map[fleet.PeelID]*rate.Limiter
}

func newPace(perSecond float64, burst int) *pace {
	return &pace{per: rate.Limit(perSecond), burst: burst, by: map[fleet.PeelID]*rate.Limiter{}}
}

func (p *pace) allow(id fleet.PeelID, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	lim := p.by[id]
	if lim == nil {
		if len(p.by) >= maxPaced {
			p.shed(now)
		}
		lim = rate.NewLimiter(p.per, p.burst)
		p.by[id] = lim
	}
	return lim.AllowN(now, 1)
}

// shed forgets the peels that are back at their full allowance, and when there
// are none, all.
func (p *pace) shed(now time.Time) {
	before := len(p.by)
	for id, lim := range p.by {
		if lim.TokensAt(now) >= float64(p.burst) {
			delete(p.by, id)
		}
	}
	if len(p.by) == before {
		clear(p.by)
	}
}
