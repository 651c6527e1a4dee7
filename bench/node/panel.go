package main

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/report/reporttest"
	"github.com/rind-project/rind/internal/network/store"
)

// measurePanels fills 24 hours with flows, makes the sums as a node does, and
// asks what the default panels ask.
func measurePanels(ctx context.Context, e *engine, flows int) error {
	db, err := e.schema(ctx, "panels")
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	n, err := openNode(ctx, db)
	if err != nil {
		return err
	}
	now := time.Now()
	s := store.New(db, nil).Partitioned(store.Hourly)
	start := time.Now()
	if err := fill(ctx, db, s, now, flows); err != nil {
		return err
	}
	fmt.Printf("panels: %d flows of 24 hours were loaded in %s", flows, time.Since(start).Round(time.Second))
	start = time.Now()
	if err := s.Maintain(ctx, nil); err != nil {
		return err
	}
	fmt.Printf(", summed and indexed in %s\n", time.Since(start).Round(time.Second))
	if _, err := e.admin.Exec(ctx, "VACUUM ANALYZE"); err != nil { // what autovacuum does within a day
		return err
	}
	worst, drill := 0.0, 0.0
	for _, q := range questions(n.Store(), now) {
		ms, err := q.time(ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", q.name, err)
		}
		fmt.Printf("  %-34s %8.2f ms\n", q.name, ms)
		if q.drill {
			drill = max(drill, ms)
		} else {
			worst = max(worst, ms)
		}
	}
	fmt.Printf("RESULT name=panel ours=%.2f limit=50 ratio=%.3f\n", worst, worst/50)
	fmt.Printf("RESULT name=drilldown ours=%.2f limit=10 ratio=%.3f\n", drill, drill/10)
	return nil
}

// fill writes reports of four taps that end every ten seconds, the oldest
// first, from two connections.
func fill(ctx context.Context, db *database.DB, s *store.Store, now time.Time, flows int) error {
	const reports = 8640
	begin := now.Add(-24 * time.Hour)
	for at := begin; at.Before(now); at = at.Add(time.Hour) { // as if the node had run then
		past := store.New(db, func() time.Time { return at }).Partitioned(store.Hourly)
		if _, err := past.MakePartitions(ctx); err != nil {
			return err
		}
	}
	fmt.Printf("panels: partitions of 24 hours were made in %s\n", time.Since(now).Round(100*time.Millisecond))
	work := make(chan []*network.Report)
	failed := make(chan error, 2)
	var working sync.WaitGroup
	for range 2 {
		working.Go(func() {
			for batch := range work {
				if err := db.Tx(ctx, func(tx *database.Tx) error { return s.InsertAll(ctx, tx, batch) }); err != nil {
					select {
					case failed <- err:
					default:
					}
				}
			}
		})
	}
	var batch []*network.Report
	for i := range reports {
		tap := network.TapID(fmt.Sprintf("tap%d", i%taps))
		id := network.Identity{Tap: tap, Boot: reporttest.Boot(1), Sequence: uint64(i/taps + 1)}
		batch = append(batch, reporttest.New(uint64(i), id, begin.Add(time.Duration(i+1)*10*time.Second), reporttest.Size{Flows: flows / reports, DNS: 4, TLS: 3}))
		if len(batch) == 8 {
			work <- batch
			batch = nil
		}
	}
	close(work)
	working.Wait()
	select {
	case err := <-failed:
		return err
	default:
		return nil
	}
}

// question is a query of a panel.
type question struct {
	name  string
	drill bool
	ask   func(ctx context.Context) error
}

// rounds is how often each is asked; the median counts.
const rounds = 15

func (q question) time(ctx context.Context) (float64, error) {
	var took []float64
	for range rounds {
		start := time.Now()
		if err := q.ask(ctx); err != nil {
			return 0, err
		}
		took = append(took, float64(time.Since(start).Microseconds())/1000)
	}
	slices.Sort(took)
	return took[rounds/2], nil
}

func questions(s *store.Store, now time.Time) []question {
	q := func(name string, ask func(ctx context.Context) error) question { return question{name, false, ask} }
	host := func(name, addr string) question {
		return question{name, true, func(ctx context.Context) error {
			p := netip.PrefixFrom(netip.MustParseAddr(addr), 32)
			_, err := s.Flows(ctx, store.FlowQuery{Addr: p, From: now.Add(-24 * time.Hour), To: now.Add(time.Minute)})
			return err
		}}
	}
	hour, day := now.Add(-time.Hour), now.Add(-24*time.Hour)
	var all []question
	for name, from := range map[string]time.Time{"1h": hour, "24h": day} {
		bucket := map[string]time.Duration{"1h": time.Minute, "24h": 30 * time.Minute}[name]
		all = append(all,
			q("traffic over "+name, func(ctx context.Context) error { _, err := s.Traffic(ctx, from, now, bucket); return err }),
			q("top talkers of "+name, func(ctx context.Context) error { _, err := s.TopTalkers(ctx, from, now, 10); return err }),
			q("losses of "+name, func(ctx context.Context) error { _, err := s.Losses(ctx, from, now); return err }),
			q("newest flows of "+name, func(ctx context.Context) error {
				_, err := s.Flows(ctx, store.FlowQuery{From: from, To: now})
				return err
			}),
			q("newest DNS of "+name, func(ctx context.Context) error { _, err := s.DNS(ctx, store.DNSQuery{From: from, To: now}); return err }),
			q("newest TLS of "+name, func(ctx context.Context) error { _, err := s.TLS(ctx, store.TLSQuery{From: from, To: now}); return err }),
		)
	}
	slices.SortFunc(all, func(a, b question) int { return len(a.name) - len(b.name) })
	return append(all,
		q("latest names", func(ctx context.Context) error { _, err := s.LatestNames(ctx, 10); return err }),
		q("latest servers", func(ctx context.Context) error { _, err := s.LatestServers(ctx, 10); return err }),
		q("kinds of records", func(ctx context.Context) error { _, err := s.KindInfos(ctx); return err }),
		q("storage", func(ctx context.Context) error { _, err := s.Storage(ctx); return err }),
		host("flows of a busy server", "192.0.2.3"),
		host("flows of a client", "10.1.2.3"),
		host("flows of a host never seen", "203.0.113.9"),
	)
}
