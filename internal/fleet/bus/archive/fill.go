package archive

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet/bus"
)

// How much is on its way to the bus at once.
const (
	fillValues = 64
	fillBytes  = 4 << 20
	fillWait   = time.Minute // for one acknowledgement
)

// How long the first value of a bucket is offered again while nobody answers:
// in a cluster a stream that was just made is known on its other servers a
// moment later.
const (
	firstTries = 40
	firstPause = 250 * time.Millisecond
)

// overhead is what a stored value needs beside its key and data, at most.
const overhead = 512

// Filler fills buckets from an archive. Its methods Part, Value and End are
// for a Visitor.
type Filler struct {
	js   jetstream.JetStream
	to   *bus.Restorer
	want map[string]Part // what is to be filled, by name, with what the trailer says of it
	ttl  map[string]time.Duration
	over map[string]bool // what may be replaced
	now  func() time.Time

	current *bus.Restoring
	failed  error // of the current one
	acks    []jetstream.PubAckFuture
	bytes   int
	result  Filled
	results map[string]Filled
}

// Filled is how it went with one bucket.
type Filled struct {
	Values  int64 // that were stored
	Expired int64 // that were older than the bucket keeps them
	Err     error
}

// NewFiller makes a filler of those buckets, of which the archive's trailer
// has the parts. Buckets in replace are deleted first when they are there.
func NewFiller(js jetstream.JetStream, to *bus.Restorer, want []Part, replace map[string]bool, now func() time.Time) *Filler {
	f := &Filler{js: js, to: to, want: map[string]Part{}, ttl: map[string]time.Duration{}, over: replace, now: now, results: map[string]Filled{}}
	for _, p := range want {
		f.want[p.Name] = p
	}
	for name, cfg := range specs() {
		f.ttl[name] = cfg.MaxAge
	}
	return f
}

// Fill reads the archive. How each bucket went is in the results; the error is
// of the archive, or that nobody waits any more.
func (f *Filler) Fill(ctx context.Context, read func(Visitor) error) (map[string]Filled, error) {
	err := read(Visitor{
		Part:  func(p Part) error { return f.begin(ctx, p) },
		Value: func(name string, v Value) error { return f.value(ctx, name, v) },
		End:   func(p Part) error { return f.end(ctx, p) },
	})
	return f.results, err
}

func (f *Filler) begin(ctx context.Context, p Part) error {
	f.current, f.failed, f.acks, f.bytes, f.result = nil, nil, nil, 0, Filled{}
	want, ok := f.want[p.Name]
	if p.Kind != KindBucket || !ok {
		return nil
	}
	size := want.Bytes + want.Bytes/4 + want.Values*overhead
	f.current, f.failed = f.to.Begin(ctx, p.Name, want.LastSeq, size, f.over[p.Name])
	return ctx.Err()
}

func (f *Filler) value(ctx context.Context, name string, v Value) error {
	if f.current == nil || f.failed != nil {
		return nil //nolint:nilerr // what failed is in the bucket's result
	}
	if ttl := f.ttl[name]; ttl > 0 && v.Time.Add(ttl).Before(f.now()) {
		f.result.Expired++
		return nil
	}
	m := &nats.Msg{Subject: f.current.Subject(v.Key), Data: append([]byte(nil), v.Data...)}
	if op := v.Op.header(); op != "" {
		m.Header = nats.Header{operationHeader: []string{op}}
	}
	f.failed = f.send(ctx, m)
	return ctx.Err()
}

// send stores a value behind those before it. Only the first one is sent again
// when nobody answers, and nothing follows it before it is stored: a value
// that is sent again behind later ones would stand behind them, and an old
// value of a key would pass for its newest.
func (f *Filler) send(ctx context.Context, m *nats.Msg) error {
	if f.result.Values == 0 && len(f.acks) == 0 {
		first, cancel := context.WithTimeout(ctx, fillWait)
		defer cancel()
		if _, err := f.js.PublishMsg(first, m, jetstream.WithRetryAttempts(firstTries), jetstream.WithRetryWait(firstPause)); err != nil {
			return fmt.Errorf("storing a value: %w", err)
		}
		f.result.Values++
		return nil
	}
	ack, err := f.js.PublishMsgAsync(m, jetstream.WithRetryAttempts(0))
	if err != nil {
		return fmt.Errorf("storing a value: %w", err)
	}
	f.acks, f.bytes = append(f.acks, ack), f.bytes+len(m.Data)
	if len(f.acks) >= fillValues || f.bytes >= fillBytes {
		return f.settle(ctx)
	}
	return nil
}

// settle waits until what was sent is stored.
func (f *Filler) settle(ctx context.Context) error {
	deadline := time.NewTimer(fillWait)
	defer deadline.Stop()
	for _, ack := range f.acks {
		select {
		case <-ack.Ok():
			f.result.Values++
		case err := <-ack.Err():
			return fmt.Errorf("storing a value: %w", err)
		case <-deadline.C:
			return errs.New(errs.Unavailable, "storing a value: the bus did not answer for %s", fillWait)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	f.acks, f.bytes = f.acks[:0], 0
	return nil
}

// end opens a bucket that is whole. One that is not keeps its mark, so that it
// counts as gone, and the next restore makes it anew.
func (f *Filler) end(ctx context.Context, p Part) error {
	if _, ok := f.want[p.Name]; !ok || p.Kind != KindBucket {
		return nil
	}
	if f.failed == nil {
		f.failed = f.settle(ctx)
	}
	if f.failed == nil {
		f.failed = f.current.Finish(ctx)
	}
	f.result.Err = f.failed
	f.results[p.Name] = f.result
	return ctx.Err()
}
