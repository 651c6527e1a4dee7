package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/rind-project/rind/bench/fleet/lab"
	"github.com/rind-project/rind/bench/fleet/sim"
	"github.com/rind-project/rind/internal/api/wire"
	"github.com/rind-project/rind/internal/fleet"
)

// Of the churn.
const (
	churnShare = 4               // as many peels more as a fourth: a fifth of all live in a process that is killed
	churnKills = 4               // how often it is killed while the job is out
	churnPause = 2 * time.Second // how long those peels are away, and how long they are there
)

// churn kills the process of a fifth of the peels and starts it again, over and
// over, while a job is out that appends a line to a file of each host. Every
// peel has to answer once, and whoever ran it has run it once.
func (b *bench) churn(ctx context.Context) error {
	extra := max(1, b.n/churnShare)
	state := filepath.Join(b.dir, "churn")
	v := &victims{b: b, first: b.n, count: extra, state: state, file: filepath.Join(b.dir, "peels-churn.json")}
	if err := v.enroll(ctx); err != nil {
		return err
	}
	defer func() { _ = v.kill() }()
	total := b.n + extra
	if _, err := b.op.AwaitConnected(ctx, total); err != nil {
		return err
	}
	b.say("%d peels more, whose state is on the disk, in a process of their own: a share of %.0f %%", extra, 100*float64(extra)/float64(total))
	began := time.Now()
	j, err := b.op.SendUntil(ctx, "*", 2*time.Minute, "cmd.run", sim.CommandOnce+" "+state)
	if err != nil {
		return err
	}
	for range churnKills {
		if err := v.again(ctx); err != nil {
			return err
		}
	}
	j, _, err = b.op.Follow(ctx, j)
	if err != nil {
		return err
	}
	// The last ones may have been away at the end: what was late is in the record.
	var out wire.JobOut
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(500 * time.Millisecond) {
		if out, err = b.op.Show(ctx, j.JID); err != nil {
			return err
		}
		if out.Job.Summary.Missing == 0 {
			break
		}
	}
	return b.judge(out, state, total, time.Since(began))
}

// judge compares the summary with what happened on the hosts.
func (b *bench) judge(out wire.JobOut, state string, total int, took time.Duration) error {
	s := out.Job.Summary
	ok, interrupted := 0, 0
	answered := map[fleet.PeelID]int{}
	for _, r := range out.Returns {
		answered[r.Peel]++
		switch {
		case r.OK:
			ok++
		case r.Reason == "interrupted":
			interrupted++
		}
	}
	once, twice, err := sim.Runs(state)
	if err != nil {
		return err
	}
	b.say("churn: %d targeted, %d answered, %d failed (%d were killed while they ran it), %d missing; on the hosts: %d ran it once, %d more than once; %.1f s",
		s.Targeted, s.Answered, s.Failed, interrupted, s.Missing, once, twice, took.Seconds())
	b.add("churn", float64(total-s.Missing-s.Failed+interrupted), float64(total), "", "peels that answered, of %d, while one in %d was killed and started again %d times", total, churnShare+1, churnKills)
	switch {
	case s.Targeted != total || s.Answered+s.Missing != total:
		return fmt.Errorf("the summary does not add up: %+v", s)
	case s.Missing != 0:
		return fmt.Errorf("%d peels did not answer", s.Missing)
	case twice != 0:
		return fmt.Errorf("%d peels ran the job more than once", twice)
	case s.Failed != interrupted || ok+interrupted != total:
		return fmt.Errorf("%d failed, of which %d were interrupted", s.Failed, interrupted)
	case len(answered) != total || len(out.Returns) != total:
		return fmt.Errorf("%d returns of %d peels", len(out.Returns), len(answered))
	}
	return nil
}

// victims are the peels of one process that is killed.
type victims struct {
	b            *bench
	w            *lab.Worker
	first, count int
	state, file  string
	kills        atomic.Int64
}

func (v *victims) start() (err error) {
	v.w, err = lab.StartWorker(v.b.worker, lab.Sharing{Env: v.b.env})
	return err
}

func (v *victims) connect(ctx context.Context) error {
	_, err := v.w.Do(ctx, sim.Order{Do: "connect", AtOnce: v.b.perWorker(), State: v.state})
	return err
}

func (v *victims) enroll(ctx context.Context) error {
	pin, err := v.b.servers[0].Pin()
	if err != nil {
		return err
	}
	if err := v.start(); err != nil {
		return err
	}
	if _, err := v.w.Do(ctx, sim.Order{Do: "enroll", Server: v.b.servers[0].URL(), Pin: pin, Socket: v.b.servers[0].Socket,
		First: v.first, Count: v.count, AtOnce: 16, File: v.file, Buses: v.b.buses()}); err != nil {
		return err
	}
	return v.connect(ctx)
}

func (v *victims) kill() error {
	if v.w == nil {
		return nil
	}
	err := v.w.Kill()
	v.w = nil
	return err
}

// again kills the process, and starts it again with the same identities and
// the same state.
func (v *victims) again(ctx context.Context) error {
	if err := v.kill(); err != nil {
		return err
	}
	if err := wait(ctx, churnPause); err != nil {
		return err
	}
	pin, err := v.b.servers[0].Pin()
	if err != nil {
		return err
	}
	if err := v.start(); err != nil {
		return err
	}
	if _, err := v.w.Do(ctx, sim.Order{Do: "load", Server: v.b.servers[0].URL(), Pin: pin, First: v.first, File: v.file}); err != nil {
		return err
	}
	connected := make(chan error, 1)
	go func() { connected <- v.connect(ctx) }()
	if err := wait(ctx, churnPause); err != nil {
		return err
	}
	if v.kills.Add(1) < churnKills {
		go func() {
			if err := <-connected; err != nil {
				return // it is killed while some connect
			}
		}()
		return nil
	}
	return <-connected
}

func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return errors.New("interrupted")
	}
}
