package main

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/network/store"
)

// measurePanels asks what the default panels ask, at ten million flows over 24
// hours.
func measurePanels(ctx context.Context, e *engine, flows int) error {
	db, now, err := loaded(ctx, e, flows)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	fmt.Printf("panels: milliseconds, median of %d\n", rounds)
	worst, fastest := 0.0, 0.0
	for _, q := range panels(db, now) {
		ms, best, err := q.time(ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", q.name, err)
		}
		milliseconds("panel-"+q.name, ms, best, 50)
		worst, fastest = max(worst, ms), max(fastest, best)
	}
	milliseconds("panel", worst, fastest, 50)
	return nil
}

// measureDrilldown asks for the newest flows of one host.
func measureDrilldown(ctx context.Context, e *engine, flows int) error {
	db, now, err := loaded(ctx, e, flows)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	fmt.Printf("newest flows of a host in 24 hours: milliseconds, median of %d\n", rounds)
	worst, fastest := 0.0, 0.0
	for _, q := range hosts(db, now) {
		ms, best, err := q.time(ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", q.name, err)
		}
		milliseconds("drilldown-"+q.name, ms, best, 10)
		worst, fastest = max(worst, ms), max(fastest, best)
	}
	milliseconds("drilldown", worst, fastest, 10)
	return nil
}

func milliseconds(name string, ours, best, limit float64) {
	fmt.Printf("RESULT name=%s ours=%.2f limit=%.0f ratio=%.3f best=%.2f\n", name, ours, limit, ours/limit, best)
}

// question is a query of a panel.
type question struct {
	name string
	ask  func(ctx context.Context) error
}

// rounds is how often each is asked; the median counts.
const rounds = 15

// time returns the median, and the best, which says what other work on the
// machine took away.
func (q question) time(ctx context.Context) (median, best float64, err error) {
	var took []float64
	for range rounds {
		start := time.Now()
		if err := q.ask(ctx); err != nil {
			return 0, 0, err
		}
		took = append(took, float64(time.Since(start).Microseconds())/1000)
	}
	slices.Sort(took)
	return took[rounds/2], took[0], nil
}

// windows are those that the pages offer, of one day at most.
var windows = []struct {
	name         string
	long, bucket time.Duration
}{
	{"15m", 15 * time.Minute, time.Minute},
	{"1h", time.Hour, time.Minute},
	{"6h", 6 * time.Hour, 6 * time.Minute},
	{"24h", 24 * time.Hour, 24 * time.Minute},
}

// panels are the queries of the overview, of the pages of taps, flows, DNS,
// TLS and records, and of the storage.
func panels(db *database.DB, now time.Time) []question {
	s := store.New(db, func() time.Time { return now })
	var all []question
	add := func(name string, ask func(ctx context.Context) error) { all = append(all, question{name, ask}) }
	for _, w := range windows {
		from := now.Add(-w.long)
		add("traffic-"+w.name, func(ctx context.Context) error { _, err := s.Traffic(ctx, from, now, w.bucket); return err })
		add("talkers-"+w.name, func(ctx context.Context) error { _, err := s.TopTalkers(ctx, from, now, 10); return err })
		add("losses-"+w.name, func(ctx context.Context) error { _, err := s.Losses(ctx, from, now); return err })
		add("flows-"+w.name, func(ctx context.Context) error {
			_, err := s.Flows(ctx, store.FlowQuery{From: from, To: now})
			return err
		})
		add("dns-"+w.name, func(ctx context.Context) error { _, err := s.DNS(ctx, store.DNSQuery{From: from, To: now}); return err })
		add("tls-"+w.name, func(ctx context.Context) error { _, err := s.TLS(ctx, store.TLSQuery{From: from, To: now}); return err })
		add("records-"+w.name, func(ctx context.Context) error {
			_, err := s.Records(ctx, store.RecordQuery{Kind: "http", From: from, To: now})
			return err
		})
	}
	add("names", func(ctx context.Context) error { _, err := s.LatestNames(ctx, 10); return err })
	add("servers", func(ctx context.Context) error { _, err := s.LatestServers(ctx, 10); return err })
	add("gaps", func(ctx context.Context) error { _, err := s.Gaps(ctx, "", 100); return err })
	add("kinds", func(ctx context.Context) error { _, err := s.KindInfos(ctx); return err })
	add("storage", func(ctx context.Context) error { // its answer is kept for a minute: a store of its own has none
		_, err := store.New(db, func() time.Time { return now }).Storage(ctx)
		return err
	})
	return all
}

// hosts are a server that all talk to, a client, and hosts that are hardly or
// not at all there.
func hosts(db *database.DB, now time.Time) []question {
	s := store.New(db, func() time.Time { return now })
	var all []question
	for _, h := range [...]struct{ name, addr string }{
		{"busy-server", "192.0.2.3"}, {"rare-server", "192.0.2.255"}, {"client", "10.1.2.3"}, {"client-ipv6", "2001:db8::7"}, {"nobody", "203.0.113.9"},
	} {
		addr := netip.MustParseAddr(h.addr)
		host := netip.PrefixFrom(addr, addr.BitLen())
		all = append(all, question{h.name, func(ctx context.Context) error {
			_, err := s.Flows(ctx, store.FlowQuery{Addr: host, From: now.Add(-24 * time.Hour), To: now.Add(time.Minute)})
			return err
		}})
	}
	return all
}
