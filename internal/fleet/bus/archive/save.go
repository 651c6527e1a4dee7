package archive

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet/bus"
)

// Pace of reading a bucket.
const (
	fetchBatch = 32 // of at most 1000 KiB each
	saveWait   = 30 * time.Second
	emptyReads = 20 // reads in a row that yield nothing although something is left
)

// SaveBuckets writes every lasting bucket, each as it is when its turn comes.
// One that is gone, or cannot be read to its end, has a problem in its part,
// and the others are written all the same. The error is of writing, or that
// nobody waits any more.
func SaveBuckets(ctx context.Context, js jetstream.JetStream, w *Writer) error {
	for _, cfg := range bus.LastingConfigs() {
		name := bus.NameOf(cfg.Name)
		if err := w.Begin(KindBucket, name); err != nil {
			return err
		}
		last, problem := saveBucket(ctx, js, w, cfg)
		if w.err != nil {
			return w.err
		}
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("reading the bucket %s: %w", name, err)
		}
		if err := w.End(last, "", problem); err != nil {
			return err
		}
	}
	return nil
}

// saveBucket writes what is in a bucket, in the order in which it was stored,
// and returns the last sequence number.
func saveBucket(ctx context.Context, js jetstream.JetStream, w *Writer, cfg jetstream.StreamConfig) (last uint64, err error) {
	name := bus.NameOf(cfg.Name)
	s, err := js.Stream(ctx, cfg.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return 0, errs.New(errs.NotFound, "it is gone from the bus")
	}
	if err != nil {
		return 0, bus.Explain(name, err)
	}
	last = s.CachedInfo().State.LastSeq
	c, err := s.CreateConsumer(ctx, jetstream.ConsumerConfig{
		AckPolicy: jetstream.AckNonePolicy, DeliverPolicy: jetstream.DeliverAllPolicy, InactiveThreshold: 5 * time.Minute,
		MemoryStorage: true, Replicas: 1, Description: "rind backup",
	})
	if err != nil {
		return last, bus.Explain(name, err)
	}
	defer func() {
		// It ends by itself when this fails.
		_ = s.DeleteConsumer(context.WithoutCancel(ctx), c.CachedInfo().Name)
	}()
	r := &bucketReader{w: w, c: c, prefix: subjectPrefix(name), limit: cfg.MaxMsgSize, name: name, last: last}
	return r.last, r.all(ctx)
}

// subjectPrefix is what stands before a key in the subject of its values.
func subjectPrefix(name string) string {
	if name == bus.EventsStream {
		return ""
	}
	return "$KV." + name + "."
}

// bucketReader reads one bucket through a consumer.
type bucketReader struct {
	w            *Writer
	c            jetstream.Consumer
	name, prefix string
	limit        int32
	seen         uint64 // messages that the consumer has delivered
	last         uint64
}

func (r *bucketReader) all(ctx context.Context) error {
	for empty := 0; empty < emptyReads; {
		n, err := r.some(ctx)
		if err != nil {
			return err
		}
		if n > 0 {
			empty = 0
			continue
		}
		left, err := r.left(ctx)
		if err != nil || left == 0 {
			return err
		}
		empty++
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
	return errs.New(errs.Unavailable, "the bus gave nothing more although something is left")
}

// left asks how many messages were not delivered yet.
func (r *bucketReader) left(ctx context.Context) (uint64, error) {
	asking, cancel := context.WithTimeout(ctx, saveWait)
	defer cancel()
	info, err := r.c.Info(asking)
	if err != nil {
		return 0, bus.Explain(r.name, err)
	}
	return info.NumPending, nil
}

// some reads what is there just now, up to a batch.
func (r *bucketReader) some(ctx context.Context) (int, error) {
	batch, err := r.c.FetchNoWait(fetchBatch)
	if err != nil {
		return 0, bus.Explain(r.name, err)
	}
	n := 0
	for {
		select {
		case <-ctx.Done():
			return n, ctx.Err()
		case <-time.After(saveWait):
			return n, errs.New(errs.Unavailable, "the bus did not answer for %s", saveWait)
		case m, ok := <-batch.Messages():
			if !ok {
				if err := batch.Error(); err != nil {
					return n, bus.Explain(r.name, err)
				}
				return n, nil
			}
			n++
			if err := r.write(m); err != nil {
				return n, err
			}
		}
	}
}

func (r *bucketReader) write(m jetstream.Msg) error {
	meta, err := m.Metadata()
	if err != nil {
		return fmt.Errorf("reading a value of %s: %w", r.name, err)
	}
	if r.seen++; meta.Sequence.Consumer != r.seen {
		return errs.New(errs.Unavailable, "the bus has skipped %d values", meta.Sequence.Consumer-r.seen)
	}
	r.last = max(r.last, meta.Sequence.Stream)
	key, ok := strings.CutPrefix(m.Subject(), r.prefix)
	v := Value{Op: opOf(m.Headers().Get(operationHeader)), Time: meta.Timestamp, Key: key, Data: m.Data()}
	if !ok || v.check(r.name, r.limit) != nil {
		return errs.New(errs.Invalid, "it holds a value under %.100q, which cannot be one of its own", m.Subject())
	}
	return r.w.Value(v)
}
