package tap

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/uplink"
)

// spooled writes the reports of files into a spool, encoded as they travel,
// from where a tap with that spool delivers them. Each reading is a boot of
// its own: a file that is read twice counts twice.
type spooled struct {
	opts   ReadOptions
	id     network.TapID
	spool  *uplink.Spool
	writer *writer

	path    string
	packets uint64
	before  uplink.Stats
}

func newSpooled(opts ReadOptions) (*spooled, error) {
	spool, err := uplink.OpenSpool(uplink.SpoolConfig{Dir: opts.Spool, MaxBytes: 1 << 40, Log: opts.Log})
	return &spooled{opts: opts, id: "file", spool: spool}, err
}

func (s *spooled) begin(_ context.Context, path string) (err error) {
	boot := newBoot(time.Now())
	if _, err := s.spool.Begin(boot, time.Now()); err != nil {
		return err
	}
	s.path, s.packets, s.before = path, 0, s.spool.Stats()
	s.writer, err = newWriter(writerConfig{ID: s.id, Boot: boot, Version: s.opts.Version, Spool: s.spool, Log: s.opts.Log, Metrics: newMetrics(nil)})
	return err
}

func (s *spooled) report(_ context.Context, r *network.Report) error {
	for i := range r.Interfaces {
		s.packets += r.Interfaces[i].Received
	}
	s.writer.write(r)
	if len(s.writer.held) > 0 || s.writer.lost > 0 {
		return errs.New(errs.Unavailable, "spooling %s: %s cannot be written: make room there", s.path, s.opts.Spool)
	}
	return nil
}

func (s *spooled) end(context.Context, error) error {
	st := s.spool.Stats()
	return tellSpooled(s.opts.Out, s.path, s.packets, st.Reports-s.before.Reports, st.Bytes-s.before.Bytes, s.opts.Spool)
}

func tellSpooled(w io.Writer, path string, packets, reports, size uint64, dir string) error {
	_, err := fmt.Fprintf(w, "%s: %d packets in %d reports of %s in %s\n", path, packets, reports, quantity(size), dir)
	return err
}

func (s *spooled) close() error { return s.spool.End() }
