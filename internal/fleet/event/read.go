package event

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet/bus"
)

// Bounds of one reading of the stream.
const (
	batchSize  = 512
	batchBytes = 2 << 20
	readWait   = 10 * time.Second
)

// place is where a reading begins: at a sequence, or at a moment when that is
// 0.
type place struct {
	seq   uint64
	since time.Time
}

// read returns what the stream holds from a place on, at most a batch. Nothing
// says that its end is reached. It makes no consumer: a batch of direct gets
// (NATS ADR-31) leaves nothing behind.
func (s *Service) read(ctx context.Context, l *live, from place) ([]entry, error) {
	ask := struct {
		Seq   uint64     `json:"seq,omitempty"`
		Since *time.Time `json:"start_time,omitempty"`
		Next  string     `json:"next_by_subj"`
		Batch int        `json:"batch"`
		Bytes int        `json:"max_bytes"`
	}{Seq: from.seq, Next: ">", Batch: batchSize, Bytes: batchBytes}
	if from.seq == 0 {
		since := from.since.UTC()
		ask.Since = &since
	}
	body, err := json.Marshal(ask)
	if err != nil {
		return nil, err
	}
	inbox := l.nc.NewRespInbox()
	sub, err := l.nc.SubscribeSync(inbox)
	if err != nil {
		return nil, errs.New(errs.Unavailable, "reading the events: %w", err)
	}
	defer func() { _ = sub.Unsubscribe() }() // fails on a closed connection only
	if err := l.nc.PublishRequest(jetstream.DefaultAPIPrefix+"DIRECT.GET."+bus.EventsStream, inbox, body); err != nil {
		return nil, errs.New(errs.Unavailable, "reading the events: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, readWait)
	defer cancel()
	var out []entry
	for {
		m, err := sub.NextMsgWithContext(ctx)
		if err != nil {
			return nil, errs.New(errs.Unavailable, "the stream of events does not answer: %w", err)
		}
		e, more, err := s.batched(m)
		if err != nil || !more {
			return out, err
		}
		out = append(out, e)
	}
}

// batched reads a message of a batch. The last one has a status.
func (s *Service) batched(m *nats.Msg) (e entry, more bool, err error) {
	switch status := m.Header.Get("Status"); status {
	case "":
	case "204", "404":
		return e, false, nil
	case "503":
		return e, false, bus.Explain(bus.EventsStream, nats.ErrNoResponders)
	default:
		return e, false, fmt.Errorf("reading the events: the bus says %s %s", status, m.Header.Get("Description"))
	}
	seq, err := strconv.ParseUint(m.Header.Get(jetstream.SequenceHeader), 10, 64)
	if err != nil {
		return e, false, fmt.Errorf("reading the events: an answer has no sequence: %w", err)
	}
	return s.entry(seq, m.Header.Get(jetstream.SubjectHeader), m.Data), true, nil
}
