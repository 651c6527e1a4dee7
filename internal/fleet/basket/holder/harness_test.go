package holder_test

import (
	"context"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/basket/holder"
	"github.com/rind-project/rind/internal/fleet/fleettest"
	"github.com/rind-project/rind/internal/fleet/master"
)

// site is a master with its holder on a broker.
type site struct {
	t *testing.T
	*fleettest.World
	holder *holder.Holder
	master *master.Master
}

// begin starts a master on a broker, with the rules.
func begin(t *testing.T, w *fleettest.World, rules ...holder.Rule) *site {
	t.Helper()
	cfg := holder.Config{Rules: rules}
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	s := &site{t: t, World: w}
	s.holder = holder.New(cfg, holder.Deps{
		JS: func() jetstream.JetStream { return w.JS }, MaxPayload: w.NC.MaxPayload, Vouch: w.Signer().Vouch,
		Select: func(ctx context.Context, expr string) ([]fleet.PeelID, error) { return s.master.Select(ctx, expr) },
	})
	s.master = master.New(master.Config{Name: "one"}, master.Deps{
		Signer: w.Signer(), Enrolled: w.Enrolled, Answers: s.holder.Answers(),
		NC: func() *nats.Conn { return w.NC }, JS: func() jetstream.JetStream { return w.JS },
	})
	for _, c := range []interface{ Start(context.Context) error }{s.holder, s.master} {
		if err := c.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(s.end)
	return s
}

// end stops the master. It may be stopped already.
func (s *site) end() {
	fleettest.Stop(s.t, s.master)
	fleettest.Stop(s.t, s.holder)
}

// peels enrolls peels, and returns when the master knows them.
func (s *site) peels(ids ...fleet.PeelID) map[fleet.PeelID]*fleettest.Peel {
	s.t.Helper()
	out := map[fleet.PeelID]*fleettest.Peel{}
	for _, id := range ids {
		out[id] = s.Peel(id)
	}
	fleettest.Eventually(s.t, "the master knows the peels", func() error {
		_, err := s.master.Peel(s.t.Context(), ids[len(ids)-1])
		return err
	})
	return out
}
