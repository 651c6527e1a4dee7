package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// reader is a program that reads a capture.
type reader struct {
	name    string
	program string
	deb     string // its package
	what    string
	least   float64 // that our packets per CPU-second are at least, of its own
	rounds  int     // at most
	args    func(path, dir string) []string
	folder  string // that the program needs beside it
	ours    bool
}

func allReaders(o *options) []reader {
	return []reader{
		{name: "rind-tap", program: filepath.Join(o.bin, "rind-tap"), what: "every parser; reports encoded and written to disk", rounds: 99, ours: true,
			args: func(path, dir string) []string { return []string{"read", path, "--spool", filepath.Join(dir, "spool")} }},
		{name: "tcpdump", program: "tcpdump", deb: "tcpdump", what: "copies packets to /dev/null", least: 0.6, rounds: 99,
			args: func(path, _ string) []string { return []string{"-r", path, "-w", "/dev/null"} }},
		{name: "argus", program: "argus", deb: "argus-server", what: "flows, no application", least: 2, rounds: 3,
			args: func(path, dir string) []string { return []string{"-r", path, "-w", filepath.Join(dir, "argus.out")} }},
		{name: "softflowd", program: "softflowd", deb: "softflowd", what: "flows, no application; NetFlow 9 to a port of this machine", least: 2, rounds: 3,
			args: func(path, _ string) []string {
				return []string{"-d", "-r", path, "-n", "127.0.0.1:9995", "-m", "2000000", "-v", "9", "-c", "none"}
			}},
		{name: "suricata", program: "suricata", deb: "suricata", what: "its default log (eve.json), no rules, one thread", least: 6, rounds: 1, folder: "log",
			args: func(path, dir string) []string {
				return []string{"-r", path, "-l", filepath.Join(dir, "log"), "-S", "/dev/null", "--runmode", "single", "-k", "none"}
			}},
	}
}

const (
	maxRSS  = 100e6 // bytes; a file is read without a ring
	maxSent = 0.01  // of the bytes captured
)

// readers runs every reader on the capture, one after the other in turns, so
// that what else the machine does hits all of them.
func readers(ctx context.Context, o *options, path string) error {
	all := allReaders(o)
	best := make([]spent, len(all))
	missing := make([]bool, len(all))
	var sent int64
	for round := range o.rounds {
		for i := range all {
			r := &all[i]
			if missing[i] || round >= r.rounds {
				continue
			}
			if _, err := exec.LookPath(r.program); err != nil {
				if r.ours {
					return fmt.Errorf("%s is missing: make build", r.program)
				}
				missing[i] = true
				fmt.Printf("%s is not installed, and is left out: apt-get install %s\n", r.name, r.deb)
				continue
			}
			s, size, err := r.run(ctx, path)
			if err != nil {
				return err
			}
			if r.ours {
				sent = size
			}
			if best[i].cpu == 0 || s.cpu < best[i].cpu {
				s.rss = max(s.rss, best[i].rss)
				best[i] = s
			} else {
				best[i].rss = max(s.rss, best[i].rss)
			}
		}
	}
	return tellReaders(o, path, all, best, sent)
}

// run runs the reader once in a folder of its own, and returns the size of
// what stands there then.
func (r *reader) run(ctx context.Context, path string) (spent, int64, error) {
	dir, err := os.MkdirTemp("", "rind-bench-tap-")
	if err != nil {
		return spent{}, 0, err
	}
	defer os.RemoveAll(dir)
	if err := os.MkdirAll(filepath.Join(dir, r.folder), 0o755); err != nil {
		return spent{}, 0, err
	}
	s, err := measure(ctx, dir, r.program, r.args(path, dir)...)
	if err != nil {
		return s, 0, err
	}
	var size int64
	err = filepath.WalkDir(dir, func(_ string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		size += info.Size()
		return err
	})
	return s, size, err
}

func tellReaders(o *options, path string, all []reader, best []spent, sent int64) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	speed := func(i int) float64 { return float64(o.mix.Packets) / best[i].cpu.Seconds() }
	fmt.Printf("%-10s %9s %9s %16s %9s %7s  %s\n", "reader", "wall", "CPU", "packets/CPU-s", "RSS", "ours is", "what it does")
	for i := range all {
		if best[i].cpu > 0 {
			fmt.Printf("%-10s %8.2fs %8.2fs %15.2fM %6.1f MB %6.2fx  %s\n", all[i].name, best[i].wall.Seconds(), best[i].cpu.Seconds(), speed(i)/1e6,
				float64(best[i].rss)/1e6, speed(0)/speed(i), all[i].what)
		}
	}
	for i := range all {
		if best[i].cpu > 0 && !all[i].ours {
			result("read-vs-"+all[i].name, speed(0), speed(i), "/s")
		}
	}
	result("rss", float64(best[0].rss)/1e6, maxRSS/1e6, "MB")
	result("sent", float64(sent), maxSent*float64(info.Size()), "B")
	for i := range all {
		if best[i].cpu > 0 && !all[i].ours && speed(0) < all[i].least*speed(i) {
			err = errors.Join(err, fmt.Errorf("read-vs-%s is %.2f, wanted is at least %g", all[i].name, speed(0)/speed(i), all[i].least))
		}
	}
	if float64(best[0].rss) > maxRSS {
		err = errors.Join(err, fmt.Errorf("rind-tap had %.1f MB in memory, wanted are at most %.0f", float64(best[0].rss)/1e6, maxRSS/1e6))
	}
	if float64(sent) > maxSent*float64(info.Size()) {
		err = errors.Join(err, fmt.Errorf("the reports have %d bytes, more than %g of the capture", sent, maxSent))
	}
	return err
}

// ownCPU is the CPU time of this process, user and system.
func ownCPU() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
