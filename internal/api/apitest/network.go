package apitest

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rind-project/rind/internal/base/errs"
	words "github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/ingest"
	"github.com/rind-project/rind/internal/network/store"
)

// Network is telemetry in memory. It remembers what it was asked for, and
// pages, but does not filter.
type Network struct {
	mu        sync.Mutex
	FlowRows  []store.Flow // from new to old
	DNSRows   []store.DNS
	TLSRows   []store.TLS
	Points    []store.TrafficPoint
	Talkers   []store.Talker
	FlowQuery store.FlowQuery
	DNSQuery  store.DNSQuery
	TLSQuery  store.TLSQuery

	RecordRows  map[string][]store.Record // by kind, from new to old
	RecordQuery store.RecordQuery
}

// after gives the page that follows a cursor.
func after[T interface{ Cursor() store.Cursor }](rows []T, c store.Cursor, limit int) []T {
	from := 0
	if c != (store.Cursor{}) {
		from = 1 + slices.IndexFunc(rows, func(r T) bool { return r.Cursor().ID == c.ID })
	}
	return slices.Clone(rows[from:min(len(rows), from+limit)])
}

// Flows implements api.Network.
func (n *Network) Flows(_ context.Context, q store.FlowQuery) ([]store.Flow, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.FlowQuery = q
	return after(n.FlowRows, q.Before, q.Limit), nil
}

// DNS implements api.Network.
func (n *Network) DNS(_ context.Context, q store.DNSQuery) ([]store.DNS, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.DNSQuery = q
	return after(n.DNSRows, q.Before, q.Limit), nil
}

// TLS implements api.Network.
func (n *Network) TLS(_ context.Context, q store.TLSQuery) ([]store.TLS, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.TLSQuery = q
	return after(n.TLSRows, q.Before, q.Limit), nil
}

// Traffic implements api.Network.
func (n *Network) Traffic(context.Context, time.Time, time.Time, time.Duration) ([]store.TrafficPoint, error) {
	return n.Points, nil
}

// TopTalkers implements api.Network.
func (n *Network) TopTalkers(_ context.Context, _, _ time.Time, limit int) ([]store.Talker, error) {
	return n.Talkers[:min(limit, len(n.Talkers))], nil
}

// Taps are taps in memory.
type Taps struct {
	mu  sync.Mutex
	All []ingest.TapInfo
}

func (t *Taps) find(name string) int {
	return slices.IndexFunc(t.All, func(x ingest.TapInfo) bool { return string(x.Name) == name })
}

// AddTapOf implements api.Taps.
func (t *Taps) AddTapOf(_ context.Context, tenant, name string, _ time.Duration) (string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.find(name) >= 0 {
		return "", errs.New(errs.Conflict, "tap %q exists", name)
	}
	t.All = append(t.All, ingest.TapInfo{Name: words.TapID(name), Tenant: cmp.Or(tenant, store.DefaultTenant), Created: Now})
	return "rindtap_" + name + "_secret", nil
}

// GiveTap implements api.Taps.
func (t *Taps) GiveTap(_ context.Context, name, tenant string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := t.find(name)
	if i < 0 {
		return errs.New(errs.NotFound, "there is no tap %q", name)
	}
	t.All[i].Tenant = tenant
	return nil
}

// TenantUses implements api.Taps.
func (t *Taps) TenantUses(context.Context) ([]store.TenantUse, error) {
	return []store.TenantUse{
		{Tenant: "acme", Taps: 1, Bytes: 3 << 20, MaxBytes: 10 << 20, Kinds: []store.TenantKind{
			{Kind: "flows", Bytes: 2 << 20, Keep: 72 * time.Hour, Next: &store.Drop{Partition: "flows_p20261120", From: Now.Add(-96 * time.Hour), To: Now.Add(-72 * time.Hour), At: Now, Bytes: 1 << 20}},
			{Kind: "dns", Bytes: 1 << 20, Keep: 168 * time.Hour}}},
		{Tenant: "default", Taps: 2, Bytes: 5 << 20, Kinds: []store.TenantKind{{Kind: "flows", Bytes: 5 << 20, Keep: 720 * time.Hour}}},
	}, nil
}

// RotateTap implements api.Taps.
func (t *Taps) RotateTap(_ context.Context, name string, _ time.Duration) (string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.find(name) < 0 {
		return "", errs.New(errs.NotFound, "there is no tap %q", name)
	}
	return "rindtap_" + name + "_new", nil
}

// RevokeTap implements api.Taps.
func (t *Taps) RevokeTap(_ context.Context, name string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := t.find(name)
	if i < 0 {
		return errs.New(errs.NotFound, "there is no tap %q", name)
	}
	now := Now
	t.All[i].Revoked = &now
	return nil
}

// Taps implements api.Taps.
func (t *Taps) Taps(context.Context) ([]ingest.TapInfo, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.All), nil
}

// TapPage implements api.Taps.
func (t *Taps) TapPage(_ context.Context, tenant string, after words.TapID, limit int) ([]ingest.TapInfo, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	page := []ingest.TapInfo{}
	for _, x := range slices.SortedFunc(slices.Values(t.All), func(a, b ingest.TapInfo) int { return strings.Compare(string(a.Name), string(b.Name)) }) {
		if x.Name > after && len(page) < limit && (tenant == "" || x.Tenant == tenant) {
			page = append(page, x)
		}
	}
	return page, nil
}
