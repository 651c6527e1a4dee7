// Command tap measures the tap: it makes a capture of mixed traffic, reads it
// with rind-tap and with whatever other readers are installed, in the same
// run, and compares what each needs.
//
// `make bench-tap` runs it; docs/performance.md says what each figure means.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/rind-project/rind/bench/tap/gen"
)

// options are the flags.
type options struct {
	bin    string // folder of rind-tap
	dir    string // folder of the capture
	only   string
	rounds int
	mix    gen.Config
}

func main() {
	o := options{mix: gen.Default()}
	flag.StringVar(&o.bin, "bin", "bin", "folder of the binaries")
	flag.StringVar(&o.dir, "dir", filepath.Join(os.TempDir(), "rind-bench-tap"), "folder in which the capture is kept from run to run")
	flag.StringVar(&o.only, "only", "", "measure these only, with commas: "+strings.Join(names(), ","))
	flag.IntVar(&o.rounds, "rounds", 5, "how often each reader reads; the best round of each counts")
	flag.Uint64Var(&o.mix.Seed, "seed", o.mix.Seed, "of the capture")
	flag.IntVar(&o.mix.Packets, "packets", o.mix.Packets, "of the capture")
	flag.IntVar(&o.mix.Flows, "flows", o.mix.Flows, "of the capture")
	work := flag.Int("worker", 0, "used by the program itself: read the files with so many workers")
	profile := flag.String("profile", "", "write profiles of CPU and allocations of this program to FILE.cpu and FILE.mem")
	pgo := flag.String("pgo", "", "measure nothing, and write a profile for the compiler to this file, over -rounds rounds")
	flag.Parse()
	if *pgo != "" {
		exit(guide(o, *pgo))
	}
	if *work > 0 {
		exit(profiled(*profile, func() error { return worker(flag.Args(), *work) }))
	}
	bin, err := filepath.Abs(o.bin) // the readers run in a folder of their own
	if err != nil {
		exit(err)
	}
	o.bin = bin
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	exit(profiled(*profile, func() error { return run(ctx, o) }))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench-tap:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// parts are what is measured, in order.
var parts = []struct {
	name string
	run  func(ctx context.Context, o *options, path string) error
}{
	{"read", readers}, {"scaling", scaling}, {"allocs", allocations}, {"encode", encoding}, {"equal", equality},
}

func names() []string {
	var all []string
	for _, p := range parts {
		all = append(all, p.name)
	}
	return all
}

func run(ctx context.Context, o options) error {
	fmt.Printf("%s, %d processors\n\n", runtime.Version(), runtime.NumCPU())
	path, err := prepare(&o)
	if err != nil {
		return err
	}
	only := strings.FieldsFunc(o.only, func(r rune) bool { return r == ',' })
	for _, name := range only {
		if !slices.Contains(names(), name) {
			return fmt.Errorf("-only %s: there are %s", name, strings.Join(names(), ", "))
		}
	}
	var all []error
	for _, p := range parts {
		if len(only) > 0 && !slices.Contains(only, p.name) {
			continue
		}
		fmt.Printf("\n== %s\n", p.name)
		if err := p.run(ctx, &o, path); err != nil {
			all = append(all, fmt.Errorf("%s: %w", p.name, err))
		}
		if ctx.Err() != nil {
			break
		}
	}
	return errors.Join(all...)
}

// prepare makes the capture, or takes the one that an earlier run made of the
// same settings, and reads it once, so that it lies in memory.
func prepare(o *options) (string, error) {
	if err := os.MkdirAll(o.dir, 0o755); err != nil {
		return "", fmt.Errorf("making the folder of the capture: %w: choose another with -dir", err)
	}
	name := fmt.Sprintf("mix-%d-%d-%d-v%d", o.mix.Seed, o.mix.Packets, o.mix.Flows, gen.Version)
	path, table := filepath.Join(o.dir, name+".pcap"), filepath.Join(o.dir, name+".txt")
	text, err := os.ReadFile(table)
	if err != nil {
		began := time.Now()
		m, err := gen.WriteFile(path, o.mix)
		if err != nil {
			return "", err
		}
		var b strings.Builder
		m.Fprint(&b)
		text = []byte(b.String())
		if err := os.WriteFile(table, text, 0o644); err != nil {
			return "", fmt.Errorf("noting what the capture holds: %w", err)
		}
		fmt.Printf("made %s in %s\n", path, time.Since(began).Round(time.Millisecond))
	}
	fmt.Printf("%s: %s", path, text)
	return path, warm(path)
}
