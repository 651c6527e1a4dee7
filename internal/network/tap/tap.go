// Package tap is the tap's runtime: it captures on interfaces, closes a report
// every few seconds, spools it and has it delivered. It also reads capture
// files (rind-tap read).
//
// Each interface has a goroutine with a pipeline of its own. At the end of an
// interval the reports of all pipelines are joined into one with a ledger per
// interface, encoded and spooled by another goroutine, so that capturing goes
// on meanwhile.
package tap

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/base/pki"
	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/bluetooth"
	"github.com/rind-project/rind/internal/network/capture"
	"github.com/rind-project/rind/internal/network/pipeline"
	"github.com/rind-project/rind/internal/network/uplink"
)

// Opener opens packet sockets. It may be another process, which holds
// CAP_NET_RAW and hands the sockets over.
type Opener interface {
	Open(iface string) (fd int, err error)
}

// Deps are what a tap stands on.
type Deps struct {
	Log     *slog.Logger
	Metrics prometheus.Registerer
	Version string
	Opener  Opener // nil opens sockets in this process
	// Sources opens an interface, with a source for each worker; nil is
	// AF_PACKET on sockets of Opener.
	Sources func(iface string, cfg Capture) ([]capture.Source, error)
}

// Tap captures, reports and delivers.
type Tap struct {
	cfg  Config
	deps Deps

	id       network.TapID
	boot     string
	token    *tokenSource
	spool    *uplink.Spool
	sender   *uplink.Sender // nil when there is no node
	stations []*station
	writer   *writer
	metrics  *metrics

	quarantine *pipeline.Quarantine // nil keeps no packets
	bluetooth  *bluetooth.Watcher
	found      found          // by Bluetooth; of the goroutine that cuts
	retired    network.Health // what the parsers did on interfaces that are captured no more; of the goroutine that cuts

	started  atomic.Bool
	began    time.Time
	due      chan struct{} // a pipeline wants to be cut before its time
	changes  chan change
	applying sync.Mutex
	mu       sync.Mutex // guards what follows, cfg, stations, sender and bluetooth, once the tap runs
	seen     map[string]InterfaceStatus
	parsers  []network.ParserHealth // of the last report; replaced as a whole

	cancel  context.CancelFunc
	working sync.WaitGroup
	stop    sync.Once
	stopped error
	died    chan error
}

// New makes a tap; Start starts it.
func New(cfg Config, deps Deps) *Tap {
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	if deps.Sources == nil {
		deps.Sources = liveSources(deps.Opener)
	}
	return &Tap{cfg: cfg, deps: deps, due: make(chan struct{}, 1), changes: make(chan change), seen: map[string]InterfaceStatus{}, died: make(chan error, 1), metrics: newMetrics(deps.Metrics)}
}

// liveSources opens interfaces by AF_PACKET.
func liveSources(opener Opener) func(string, Capture) ([]capture.Source, error) {
	open := capture.OpenSocket
	if opener != nil {
		open = func(iface string) (int, error) {
			fd, err := opener.Open(iface)
			if err != nil {
				return -1, fmt.Errorf("asking the opener for %s: %w", iface, err)
			}
			return fd, nil
		}
	}
	return func(iface string, cfg Capture) ([]capture.Source, error) {
		workers, err := capture.OpenWorkers(open, iface, cfg.Workers, cfg.Live())
		if err != nil {
			return nil, err
		}
		sources := make([]capture.Source, len(workers))
		for i, w := range workers {
			sources[i] = w
		}
		return sources, nil
	}
}

// Start opens the spool and begins to capture and to send. An interface that
// cannot be opened does not keep the tap from starting: it is tried again, and
// Check says so.
func (t *Tap) Start(ctx context.Context) error {
	if err := t.open(); err != nil {
		return err
	}
	if t.sender != nil {
		if err := t.sender.Start(ctx); err != nil {
			return err
		}
	}
	running, cancel := context.WithCancel(context.Background())
	t.cancel = cancel
	t.began = time.Now()
	t.bluetooth = bluetooth.New(t.cfg.Bluetooth, t.deps.Log)
	if err := t.bluetooth.Start(ctx); err != nil {
		return err
	}
	for _, i := range t.cfg.Interfaces {
		t.begin(running, i)
	}
	t.working.Go(func() { t.cut(running) })
	t.started.Store(true)
	t.deps.Log.Info("tap started", "tap", t.id, "boot", t.boot, "interfaces", t.cfg.InterfaceNames(), "nodes", t.cfg.Node.URLs)
	return nil
}

// open makes what needs the disk.
func (t *Tap) open() (err error) {
	t.token = &tokenSource{cfg: t.cfg.Node}
	token, err := t.token.Token()
	if err != nil {
		return err
	}
	if t.id, err = t.cfg.ID(token); err != nil {
		return err
	}
	t.boot = newBoot(time.Now())
	if t.quarantine, err = t.cfg.Quarantine.open(); err != nil {
		return err
	}
	t.metrics.kept(t.deps.Metrics, t.quarantine)
	if t.spool, err = OpenSpool(t.cfg, t.deps.Log); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			t.spool.Abandon()
		}
	}()
	if len(t.cfg.Node.URLs) > 0 {
		if t.sender, err = NewSender(t.cfg.Node, t.spool, t.token.Token, t.deps); err != nil {
			return err
		}
	}
	start := time.Now()
	gap, err := t.spool.Begin(t.boot, start)
	if err != nil {
		return err
	}
	if gap != nil {
		t.deps.Log.Warn("the tap did not end cleanly: the first report tells the gap", "from", gap.From, "to", gap.To, "last_sequence", gap.Sequence)
	}
	t.writer, err = newWriter(writerConfig{ID: t.id, Boot: t.boot, Version: t.deps.Version, Gap: gap, Spool: t.spool, Log: t.deps.Log, Metrics: t.metrics, Began: start})
	return err
}

// OpenSpool opens the spool that a configuration names.
func OpenSpool(cfg Config, log *slog.Logger) (*uplink.Spool, error) {
	dir, name := cfg.Spool.Dir, cfg.Spool.Dir
	if dir == "" {
		dir, name = filepath.Join(cfg.DataDir, "spool"), filepath.Join(cmp.Or(cfg.DataName, cfg.DataDir), "spool")
	}
	return uplink.OpenSpool(uplink.SpoolConfig{Dir: dir, Name: name, MaxBytes: int64(cfg.Spool.MaxBytes), MaxAge: cfg.Spool.MaxAge, Log: log})
}

// NewSender makes the sender that a configuration describes.
func NewSender(node Node, spool *uplink.Spool, token func() (string, error), deps Deps) (*uplink.Sender, error) {
	return uplink.NewSender(uplink.SenderConfig{URLs: node.URLs, Proxy: node.Proxy, UserAgent: "rind-tap/" + deps.Version}, uplink.SenderDeps{
		Spool: spool, Token: token, Log: deps.Log, Metrics: deps.Metrics,
		TLS: trust(node),
	})
}

// trust says what is trusted of a node.
func trust(node Node) uplink.TLS {
	return func(host string) (*tls.Config, error) { return pki.ClientTLSFor(host, node.Pin, node.CAFile) }
}

// Stop closes the last report, gives the sender a little time to deliver it,
// and ends. What is not delivered stays in the spool.
func (t *Tap) Stop(ctx context.Context) error {
	t.stop.Do(func() { t.stopped = t.end(ctx) })
	return t.stopped
}

func (t *Tap) end(ctx context.Context) error {
	if t.cancel == nil {
		return nil
	}
	t.cancel()
	ended := make(chan struct{})
	go func() {
		t.working.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-ctx.Done():
		t.spool.Abandon() // not everything was reported
		return fmt.Errorf("stopping the capture: %w", ctx.Err())
	}
	err := errors.Join(t.last(), t.watcher().Stop(ctx))
	if s := t.delivery(); s != nil {
		t.farewell(ctx, s)
		err = errors.Join(err, s.Stop(ctx))
	}
	if err != nil {
		t.spool.Abandon()
		return err
	}
	return t.spool.End()
}

// farewell waits a moment for the spool to run empty.
func (t *Tap) farewell(ctx context.Context, s *uplink.Sender) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	for t.spool.Stats().Reports > 0 && s.Status().LastError == "" {
		select {
		case <-ctx.Done():
			return
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Died yields an error when the tap cannot go on.
func (t *Tap) Died() <-chan error { return t.died }

// Check says what is wrong with the capture or the delivery, for /readyz.
func (t *Tap) Check(context.Context) error {
	if !t.started.Load() {
		return errs.New(errs.Unavailable, "the tap has not started yet")
	}
	var all []error
	for _, s := range t.captured() {
		if err := s.trouble(); err != nil {
			all = append(all, fmt.Errorf("interface %s: %w", s.name, err))
		}
	}
	if s := t.delivery(); s != nil {
		if st := s.Status(); st.LastError != "" {
			all = append(all, errs.New(errs.Unavailable, "delivery: %s", st.LastError))
		}
	}
	return errors.Join(all...)
}
