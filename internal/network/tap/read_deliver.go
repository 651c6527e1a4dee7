package tap

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/uplink"
)

const (
	deliverAhead = 8 // reports that wait at most while a file is read
	deliverTries = 5 // in a row, before a delivery is given up
)

// delivery sends the reports of files to a node and returns when all are
// answered. It spools in a folder of its own, which goes when it ends: the
// file itself is the spool, since its boot id is made of its contents and
// delivering it again changes nothing.
type delivery struct {
	opts    ReadOptions
	id      network.TapID
	dir     string
	spool   *uplink.Spool
	sender  *uplink.Sender
	metrics *metrics

	path    string
	writer  *writer
	packets uint64
	shift   time.Duration // of every time; 0 before the first report
	told    time.Time
	before  uplink.Status // when the file began
}

func newDelivery(opts ReadOptions) (_ *delivery, err error) {
	token := &tokenSource{cfg: opts.Deliver.Node}
	text, err := token.Token()
	if err != nil {
		return nil, err
	}
	d := &delivery{opts: opts, metrics: newMetrics(nil)}
	if d.id, err = opts.Deliver.ID(text); err != nil {
		return nil, err
	}
	if d.dir, err = os.MkdirTemp("", "rind-tap-read-"); err != nil {
		return nil, fmt.Errorf("making a folder for reports on their way: %w", err)
	}
	defer func() {
		if err != nil {
			_ = d.close()
		}
	}()
	if d.spool, err = uplink.OpenSpool(uplink.SpoolConfig{Dir: d.dir, MaxBytes: 1 << 40, Log: opts.Log}); err != nil {
		return nil, err
	}
	d.sender, err = NewSender(opts.Deliver.Node, d.spool, token.Token, Deps{Log: opts.Log, Version: opts.Version})
	return d, err
}

func (d *delivery) begin(ctx context.Context, path string) (err error) {
	boot := newBoot(time.Now())
	d.shift = 0
	if d.opts.Now {
		d.shift, err = untilNow(ctx, path)
	} else {
		boot, err = fileBoot(path)
	}
	if err != nil {
		return err
	}
	if _, err := d.spool.Begin(boot, time.Now()); err != nil {
		return err
	}
	d.path, d.packets, d.before = path, 0, d.sender.Status()
	d.writer, err = newWriter(writerConfig{ID: d.id, Boot: boot, Version: d.opts.Version, Spool: d.spool, Log: d.opts.Log, Metrics: d.metrics})
	return err
}

func (d *delivery) report(ctx context.Context, r *network.Report) error {
	for i := range r.Interfaces {
		d.packets += r.Interfaces[i].Received
	}
	if d.opts.Now {
		if d.shift == 0 {
			d.shift = time.Since(r.Start).Round(0)
		}
		shift(r, d.shift)
	}
	d.writer.write(r)
	if len(d.writer.held) > 0 || d.writer.lost > 0 {
		return errs.New(errs.Unavailable, "delivering %s: %s cannot be written: make room there", d.path, d.dir)
	}
	if d.spool.Stats().Reports < deliverAhead {
		return nil
	}
	return d.drain(ctx)
}

func (d *delivery) drain(ctx context.Context) error {
	err := d.sender.Drain(ctx, deliverTries, func(st uplink.Status) {
		if time.Since(d.told) > time.Second {
			d.told = time.Now()
			d.tell(d.opts.Progress, st, "…")
		}
	})
	if err != nil {
		return fmt.Errorf("delivering %s: %w", d.path, err)
	}
	return nil
}

// end delivers the rest of the file and says exactly what became of it.
func (d *delivery) end(ctx context.Context, _ error) error {
	err := d.drain(ctx)
	st := d.sender.Status()
	d.tell(d.opts.Out, st, "")
	refused := st.Quarantined - d.before.Quarantined
	switch {
	case err != nil:
		return fmt.Errorf("%w; %d reports were not delivered: read the file again, what was delivered is not counted twice", err, d.spool.Stats().Reports)
	case refused > 0:
		return errs.New(errs.Invalid, "delivering %s: the node refused %d reports: %s", d.path, refused, st.LastRefusal)
	}
	return nil
}

func (d *delivery) tell(w io.Writer, st uplink.Status, more string) {
	if w == nil {
		return
	}
	_, _ = fmt.Fprintf(w, "%s: %d packets in %d reports: %d committed, %d known already, %d refused%s\n", d.path, d.packets, d.writer.sequence,
		st.Committed-d.before.Committed, st.Duplicates-d.before.Duplicates, st.Quarantined-d.before.Quarantined, more)
}

func (d *delivery) close() error {
	if d.spool != nil {
		d.spool.Abandon()
	}
	if err := os.RemoveAll(d.dir); err != nil {
		return errors.Join(err, fmt.Errorf("removing %s", d.dir))
	}
	return nil
}
