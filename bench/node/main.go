// Command node measures the node and its telemetry store against the limit
// that the same machine sets in the same run: flows committed over HTTPS
// against raw COPY of the same rows into the same tables, against row-by-row
// inserts, and against a bare prepared loop on SQLite; and the queries of every
// default panel at ten million flows over 24 hours. It starts a PostgreSQL of
// its own and ends it.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
)

func main() {
	only := flag.String("only", "ingest,sqlite,panel,drilldown", "what to measure")
	reports := flag.Int("reports", 60, "reports of 5000 flows that the ingest takes")
	flows := flag.Int("flows", 10_000_000, "flows that the panels are measured at")
	folder := flag.String("data", "", "folder of the PostgreSQL, which is kept with what was loaded; a temporary one when empty")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *only, *folder, *reports, *flows); err != nil {
		fmt.Fprintln(os.Stderr, "bench/node:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, only, folder string, reports, flows int) (err error) {
	e, err := startEngine(ctx, folder)
	if err != nil {
		return err
	}
	defer func() {
		if failed := e.stop(); err == nil {
			err = failed
		}
	}()
	for one := range strings.SplitSeq(only, ",") {
		switch one {
		case "ingest":
			err = measureIngest(ctx, e, reports)
		case "sqlite":
			err = measureSQLite(ctx, reports)
		case "panel":
			err = measurePanels(ctx, e, flows)
		case "drilldown":
			err = measureDrilldown(ctx, e, flows)
		default:
			err = fmt.Errorf("there is no measurement %q: choose ingest, sqlite, panel, drilldown", one)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// result prints a figure beside its limit.
func result(name string, ours, limit float64, unit, demand string) {
	fmt.Printf("  %-22s %12.0f %-8s against %12.0f   %.2f (demanded %s)\n", name, ours, unit, limit, ours/limit, demand)
	fmt.Printf("RESULT name=%s ours=%.3f limit=%.3f ratio=%.3f\n", name, ours, limit, ours/limit)
}
