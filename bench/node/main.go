// Command node measures the node and its telemetry store against the limit
// that the same machine sets in the same run: flows committed over HTTPS
// against raw COPY of the same rows into the same tables, against row-by-row
// inserts, and against a bare prepared loop on SQLite; the CPU of decoding; the
// queries of every default panel, and of one host's flows, at ten million flows
// over 24 hours; the memory of a node that a hundred taps report to; how long
// each of a thousand taps waits, also beside a greedy one, and good taps while
// bad tokens pour in; and what becomes of five times the load that a node can
// take. It starts a PostgreSQL of its own and ends it.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"time"
)

// options are what a run measures, and with what.
type options struct {
	only, folder, bin string
	reports, flows    int
	long              time.Duration
}

func main() {
	var o options
	flag.StringVar(&o.only, "only", "ingest,sqlite,decode,panel,drilldown,taps,tokens,overload,rss", "what to measure")
	flag.StringVar(&o.folder, "data", "", "folder of the PostgreSQL, which is kept with what was loaded; a temporary one when empty")
	flag.StringVar(&o.bin, "bin", "bin/rind", "the server that taps, tokens, overload and rss start")
	flag.IntVar(&o.reports, "reports", 60, "reports of 5000 flows that the ingest takes")
	flag.IntVar(&o.flows, "flows", 10_000_000, "flows that the panels are measured at")
	flag.DurationVar(&o.long, "for", 10*time.Minute, "how long rss is looked at")
	bad := flag.String("flood", "", "send bad tokens to this URL; the program calls itself so")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	run := func() error { return o.run(ctx) }
	if *bad != "" {
		run = func() error { return flood(ctx, *bad) }
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench/node:", err)
		os.Exit(1)
	}
}

func (o options) run(ctx context.Context) (err error) {
	if o.only == "decode" {
		return measureDecode()
	}
	e, err := startEngine(ctx, o.folder)
	if err != nil {
		return err
	}
	defer func() {
		if failed := e.stop(); err == nil {
			err = failed
		}
	}()
	for one := range strings.SplitSeq(o.only, ",") {
		if err := o.measure(ctx, e, one); err != nil {
			return err
		}
	}
	return nil
}

func (o options) measure(ctx context.Context, e *engine, one string) error {
	switch one {
	case "ingest":
		return measureIngest(ctx, e, o.reports)
	case "sqlite":
		return measureSQLite(ctx, o.reports)
	case "decode":
		return measureDecode()
	case "panel":
		return measurePanels(ctx, e, o.flows)
	case "drilldown":
		return measureDrilldown(ctx, e, o.flows)
	case "tokens":
		return measureTokens(ctx, e, o.bin)
	case "taps":
		return measureTaps(ctx, e, o.bin)
	case "overload":
		return measureOverload(ctx, e, o.bin)
	case "rss":
		return measureRSS(ctx, e, o.bin, o.long)
	}
	return fmt.Errorf("there is no measurement %q: choose ingest, sqlite, decode, panel, drilldown, taps, tokens, overload, rss", one)
}

// result prints flows per second beside their limit.
func result(name string, ours, limit float64, demand string) {
	fmt.Printf("  %-22s %12.0f flows/s against %12.0f   %.2f (demanded %s)\n", name, ours, limit, ours/limit, demand)
	fmt.Printf("RESULT name=%s ours=%.3f limit=%.3f ratio=%.3f\n", name, ours, limit, ours/limit)
}
