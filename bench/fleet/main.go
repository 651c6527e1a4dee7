// Command fleet measures the fleet plane: it starts the real server, enrolls
// any number of simulated peels over HTTPS, connects them, and holds what the
// product takes for a job against what the same connections take for the same
// messages with nothing behind them.
//
//	go run ./bench/fleet -n 10000
//	go run ./bench/fleet -n 100000 -only connected
//
// It starts itself again as the processes of the peels (`fleet sim`).
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/rind-project/rind/bench/fleet/sim"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "sim" {
		if err := sim.Work(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, "sim:", err)
			os.Exit(1)
		}
		return
	}
	o := options{worker: []string{"sim"}}
	flag.IntVar(&o.n, "n", 10_000, "how many peels")
	flag.StringVar(&o.bin, "bin", "bin/rind", "the server's binary")
	flag.IntVar(&o.servers, "servers", 0, "how many servers; without it as many as the open files of a process make necessary")
	flag.IntVar(&o.rounds, "rounds", 7, "how often each round is measured; the median counts")
	flag.DurationVar(&o.idle, "idle", time.Minute, "how long the idle fleet is watched")
	flag.DurationVar(&o.limit, "limit", 3*time.Minute, "how long a job may take")
	flag.StringVar(&o.dir, "dir", "", "folder for the servers' data, a temporary one without it; one that a run has filled is gone on with: nobody enrolls again")
	only := flag.String("only", "", "figures to measure, separated by commas; all without it: "+strings.Join(names(), ", "))
	flag.Parse()
	if *only != "" {
		o.only = strings.Split(*only, ",")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, o, os.Stdout)
	if errors.Is(err, context.Canceled) {
		err = errors.New("interrupted")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "fleet:", err)
		os.Exit(1)
	}
}
