package main

import (
	"fmt"
	"slices"
	"syscall"
	"time"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/report"
	"github.com/rind-project/rind/internal/network/report/reporttest"
)

// measureDecode decodes a report of 50,000 flows with every field filled, and
// gives its memory back as a node does after the commit: milliseconds of CPU,
// the median of ten times ten.
func measureDecode() error {
	in, err := report.Encode(reporttest.New(1, network.Identity{Tap: "tap", Boot: reporttest.Boot(1), Sequence: 1}, time.Now(), reporttest.Size{Flows: 50_000}))
	if err != nil {
		return err
	}
	d, err := report.NewDecoder(report.DefaultLimits())
	if err != nil {
		return err
	}
	defer d.Close()
	var took []float64
	for range 10 {
		began := cpu()
		for range 10 {
			r, err := d.Decode(in)
			if err != nil {
				return err
			}
			d.Recycle(r)
		}
		took = append(took, (cpu()-began).Seconds()*1000/10)
	}
	slices.Sort(took)
	fmt.Println("decode: milliseconds of CPU for a report of 50,000 flows")
	milliseconds("decode", took[len(took)/2], took[0], 10)
	return nil
}

// cpu is the user and system time of this process.
func cpu() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
