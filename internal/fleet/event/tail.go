package event

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/bus"
)

// Bounds of what is kept in memory for those who watch.
const (
	maxTail      = 4096
	maxTailBytes = 8 << 20
	refollow     = 2 * time.Second
)

// entry is a place in the stream. One that cannot be read is nobody's event.
type entry struct {
	seq   uint64
	event fleet.Event
	ok    bool
	size  int
}

// tail is the end of the stream: its latest entries, without a gap.
type tail struct {
	mu      sync.Mutex
	entries []entry
	next    uint64 // place behind the last
	bytes   int
	news    chan struct{} // closed when next grows, and replaced
}

func newTail(next uint64) *tail { return &tail{next: next, news: make(chan struct{})} }

// add appends an entry. A gap before it makes what was there useless.
func (t *tail) add(e entry) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if e.seq < t.next {
		return
	}
	if e.seq > t.next {
		t.entries, t.bytes = nil, 0
	}
	t.entries = append(t.entries, e)
	t.next = e.seq + 1
	t.bytes += e.size
	drop := 0
	for len(t.entries)-drop > maxTail || t.bytes > maxTailBytes && len(t.entries)-drop > 1 {
		t.bytes -= t.entries[drop].size
		drop++
	}
	if drop > 0 {
		clear(t.entries[:drop])
		t.entries = t.entries[drop:]
	}
	close(t.news)
	t.news = make(chan struct{})
}

// from returns what stands at a place and behind it. When the place is not in
// memory any more, known is false and the stream has to be read.
func (t *tail) from(seq uint64) (entries []entry, known bool, news <-chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if seq >= t.next {
		return nil, true, t.news
	}
	if len(t.entries) == 0 || seq < t.entries[0].seq {
		return nil, false, t.news
	}
	return append([]entry(nil), t.entries[seq-t.entries[0].seq:]...), true, t.news
}

func (t *tail) end() uint64 {
	end, _ := t.grows()
	return end
}

// grows returns the end, and what tells when it is another one.
func (t *tail) grows() (end uint64, news <-chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.next, t.news
}

// follow reads the stream from the tail's end on, by the one consumer of this
// process. When that ends, another one takes its place.
func (s *Service) follow(ctx context.Context, l *live) error {
	began := make(chan error, 1)
	l.wg.Go(func() {
		for first := true; l.ctx.Err() == nil; first = false {
			err := s.consume(l, began)
			if l.ctx.Err() != nil {
				return
			}
			if first {
				select {
				case began <- err:
				default:
				}
			}
			s.log.Error("following the events ended; it is begun again", "error", bus.Explain(bus.EventsStream, err))
			select {
			case <-time.After(refollow):
			case <-l.ctx.Done():
			}
		}
	})
	select {
	case err := <-began:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

var errEnded = errors.New("the bus ended the consumer")

func (s *Service) consume(l *live, began chan<- error) error {
	c, err := l.js.OrderedConsumer(l.ctx, bus.EventsStream, jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: l.tail.end(),
	})
	if err != nil {
		return err
	}
	reading, err := c.Consume(func(m jetstream.Msg) { s.onStored(l, m) },
		jetstream.ConsumeErrHandler(func(_ jetstream.ConsumeContext, err error) {
			s.log.Debug("following the events", "error", err) // it begins again by itself
		}))
	if err != nil {
		return err
	}
	select {
	case began <- nil:
	default:
	}
	select {
	case <-reading.Closed():
		return errEnded
	case <-l.ctx.Done():
	}
	reading.Stop()
	<-reading.Closed()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = l.js.DeleteConsumer(ctx, bus.EventsStream, c.CachedInfo().Name) // else the server does, in some minutes
	return nil
}

func (s *Service) onStored(l *live, m jetstream.Msg) {
	meta, err := m.Metadata()
	if err != nil {
		return // no message of a stream
	}
	l.tail.add(s.entry(meta.Sequence.Stream, m.Subject(), m.Data()))
}

// entry reads a message of the stream.
func (s *Service) entry(seq uint64, subject string, data []byte) entry {
	e, err := parse(seq, subject, data)
	if err != nil {
		s.metrics.unreadable.Inc()
		s.log.Warn("a stored event cannot be read", "seq", seq, "subject", subject, "error", err)
	}
	return entry{seq: seq, event: e, ok: err == nil, size: len(data)}
}
