package main

import (
	"errors"
	"os"
	"runtime"
	"runtime/pprof"
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
