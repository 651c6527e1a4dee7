package main

import (
	"bytes"
	"errors"
	"os"
	"runtime"
	"runtime/pprof"

	"github.com/rind-project/rind/internal/network/pipeline"
	"github.com/rind-project/rind/internal/network/report"
)

// profiled runs f and writes where it spent its time and what it allocated, as
// `go tool pprof` reads it.
func profiled(name string, f func() error) (err error) {
	if name == "" {
		return f()
	}
	runtime.MemProfileRate = 512
	out, err := os.Create(name + ".cpu")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	if err := pprof.StartCPUProfile(out); err != nil {
		return err
	}
	err = f()
	pprof.StopCPUProfile()
	mem, opening := os.Create(name + ".mem")
	if opening != nil {
		return errors.Join(err, opening)
	}
	return errors.Join(err, pprof.Lookup("allocs").WriteTo(mem, 0), mem.Close())
}

// guide writes where the tap's time goes, for the compiler (go.dev/doc/pgo),
// over as many rounds as are asked for. It takes 2,000 samples a second; that
// the runtime cannot set 100 after that, it says on the standard error.
func guide(o options, name string) error {
	path, err := prepare(&o)
	if err != nil {
		return err
	}
	var out bytes.Buffer // a file that is not whole would break the next build
	runtime.SetCPUProfileRate(2000)
	if err := pprof.StartCPUProfile(&out); err != nil {
		return err
	}
	for range o.rounds {
		e, making := report.NewEncoder()
		if err = making; err == nil {
			err = work(path, pipeline.New(pipeline.Config{Interface: path}), e)
		}
		if err != nil {
			break
		}
	}
	pprof.StopCPUProfile()
	if err != nil {
		return err
	}
	return os.WriteFile(name, out.Bytes(), 0o644)
}
