package master

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/rind-project/rind/internal/fleet/bus"
	"github.com/rind-project/rind/internal/fleet/pace"
	"github.com/rind-project/rind/internal/fleet/settings"
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
	pace *pace.Pace
}

func (m *Master) answerAsks(l *live) error {
	a := &asks{m: m, l: l, by: map[string]bus.Answerer{}, slot: make(chan struct{}, askWorkers), pace: pace.New(askRate, askBurst)}
	for what, fn := range m.deps.Answers {
		a.by[what] = fn
	}
	if m.deps.Settings != nil {
		a.by[settings.AskGet] = m.answerSettings
	}
	return l.subscribeQueue(bus.AllAsks, mostWaiting, l.guard.Metered(true, a.onAsk))
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
	if !a.pace.Allow(id, time.Now()) {
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
