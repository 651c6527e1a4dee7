package master

import (
	"context"

	"github.com/nats-io/nats.go"

	"github.com/rind-project/rind/internal/fleet/bus"
)

// TakeOver has a master take a job over as if the one that collects it were
// dead.
func TakeOver(ctx context.Context, m *Master, jid string) error {
	l, err := m.running()
	if err != nil {
		return err
	}
	rec, err := l.read(ctx, jid)
	if err != nil {
		return err
	}
	l.wg.Go(func() { m.adopt(l, rec) })
	return nil
}

// WriteReturns writes returns as one batch.
func (m *Master) WriteReturns(msgs []*nats.Msg) {
	m.now.intake.returns.write(wants(msgs))
}

func wants(msgs []*nats.Msg) []*want {
	var all []*want
	for _, msg := range msgs {
		jid, id, n, _ := bus.ParseReturn(msg.Subject)
		all = append(all, &want{msg: msg, key: bus.ReturnKey(jid, id, n), once: true})
	}
	return all
}
