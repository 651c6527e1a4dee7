package node

import (
	"context"
	"time"

	"github.com/rind-project/rind/internal/network/ingest"
	"github.com/rind-project/rind/internal/network/store"
)

// tapsTopic is announced when a tap's token changes, so that every node reads
// the tokens anew at once.
const tapsTopic = "taps"

// Taps are the taps' tokens and states; all nodes hear of what is changed
// through it.
type Taps struct {
	*ingest.Service
	node *Node
}

// Taps keeps the taps.
func (n *Node) Taps() Taps { return Taps{n.ingest, n} }

// AddTapOf adds a tap of a tenant, "" for the default one, and returns its token.
func (t Taps) AddTapOf(ctx context.Context, tenant, name string, ttl time.Duration) (string, error) {
	token, err := t.Service.AddTapOf(ctx, tenant, name, ttl)
	return token, t.tell(ctx, err)
}

// GiveTap makes a tenant the owner of a tap; all nodes know at once.
func (t Taps) GiveTap(ctx context.Context, name, tenant string) error {
	return t.tell(ctx, t.Service.GiveTap(ctx, name, tenant))
}

// TenantUses says what the rows of each tenant's taps take, and what goes next.
func (t Taps) TenantUses(ctx context.Context) ([]store.TenantUse, error) {
	owners, err := t.Owners(ctx)
	if err != nil {
		return nil, err
	}
	return t.node.store.TenantUses(ctx, t.node.cfg.Retention, owners)
}

// RotateTap gives a tap a new token; all nodes refuse the old one at once.
func (t Taps) RotateTap(ctx context.Context, name string, ttl time.Duration) (string, error) {
	token, err := t.Service.RotateTap(ctx, name, ttl)
	return token, t.tell(ctx, err)
}

// RevokeTap makes all nodes refuse a tap's token at once.
func (t Taps) RevokeTap(ctx context.Context, name string) error {
	return t.tell(ctx, t.Service.RevokeTap(ctx, name))
}

// tell announces a change that was made. A notice that fails is logged only:
// the change is committed, and other nodes see it within seconds all the same.
func (t Taps) tell(ctx context.Context, err error) error {
	if err != nil {
		return err
	}
	if err := t.node.member.Announce(context.WithoutCancel(ctx), tapsTopic); err != nil {
		t.node.deps.Log.Warn("other nodes hear of a tap's token some seconds later", "error", err)
	}
	return nil
}
