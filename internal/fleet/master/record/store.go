package record

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/bus"
)

// Pace of writing what cannot be written just now.
const (
	patience   = 15 * time.Second // longer than an election takes
	patienceAt = 200 * time.Millisecond
)

// undoWait bounds the removal of what is left of a job that was refused.
const undoWait = 10 * time.Second

// Deps are what a store needs.
type Deps struct {
	JS   jetstream.JetStream
	Jobs jetstream.KeyValue // the bucket
	// Room returns an error when there is no room to write anything down.
	Room func() error
	// Ending is closed when nothing is tried again any more.
	Ending <-chan struct{}
}

// Store reads and writes records. Use New.
type Store struct{ deps Deps }

// New makes a store.
func New(deps Deps) *Store { return &Store{deps} }

// Create writes the record of a new job. When it fails, nothing of the job is
// left.
func (s *Store) Create(ctx context.Context, r *Record, ids []fleet.PeelID) error {
	if err := s.deps.Room(); err != nil {
		return errs.New(errs.Unavailable, "the job is not sent: %w", err)
	}
	err := s.writeDown(ctx, r, ids)
	if err == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoWait)
	defer cancel()
	// An acknowledgement may have been lost of what was written, so that the
	// Record is removed too. Where nothing can be removed, nothing was written.
	_ = bus.Purge(ctx, s.deps.JS, bus.Jobs, r.JID)
	_ = bus.Purge(ctx, s.deps.JS, bus.Jobs, r.JID+".>")
	return err
}

// writeDown writes the targets first: a record that is there is complete.
func (s *Store) writeDown(ctx context.Context, r *Record, ids []fleet.PeelID) error {
	chunks, err := packTargets(ids)
	if err != nil {
		return fmt.Errorf("packing the targets: %w", err)
	}
	r.Chunks = len(chunks)
	for n, c := range chunks {
		err := s.patiently(ctx, bus.Jobs, func() error {
			_, err := s.deps.Jobs.Put(ctx, targetsKey(r.JID, n), c)
			return err
		})
		if err != nil {
			return unwritten(err)
		}
	}
	b, err := json.Marshal(r.Short())
	if err != nil {
		return fmt.Errorf("encoding a job: %w", err)
	}
	if err := s.patiently(ctx, bus.Jobs, func() error { return s.createOnce(ctx, r, b) }); err != nil {
		return unwritten(err)
	}
	return nil
}

// createOnce writes a new record, and finds the one that an earlier try has
// written whose acknowledgement was lost.
func (s *Store) createOnce(ctx context.Context, r *Record, text []byte) (err error) {
	r.Revision, err = s.deps.Jobs.Create(ctx, r.JID, text)
	if !errors.Is(err, jetstream.ErrKeyExists) {
		return err
	}
	e, read := s.deps.Jobs.Get(ctx, r.JID)
	if read != nil {
		return read
	}
	if !bytes.Equal(e.Value(), text) {
		return err
	}
	r.Revision = e.Revision()
	return nil
}

// unwritten explains a job that could not be written down, and so is not sent.
func unwritten(err error) error {
	return errs.New(errs.Unavailable, "the job is not sent, since its record cannot be written: %w", bus.Explain(bus.Jobs, err))
}

// ErrSuperseded says that another master has written the record meanwhile.
var ErrSuperseded = errors.New("another master has taken up the job")

// Update writes a record over the revision that it was read or written at.
func (s *Store) Update(ctx context.Context, r *Record) error {
	b, err := json.Marshal(r.Short())
	if err != nil {
		return fmt.Errorf("encoding a job: %w", err)
	}
	rev, err := s.deps.Jobs.Update(ctx, r.JID, b, r.Revision)
	if api, ok := errors.AsType[*jetstream.APIError](err); ok && api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence {
		return ErrSuperseded
	}
	if err != nil {
		return bus.Explain(bus.Jobs, err)
	}
	r.Revision = rev
	return nil
}

// Read reads a job's record.
func (s *Store) Read(ctx context.Context, jid string) (*Record, error) {
	e, err := s.deps.Jobs.Get(ctx, jid)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return nil, errs.New(errs.NotFound, "there is no job %s; jobs are kept for 7 days, and rind job list shows the latest", jid)
	}
	if err != nil {
		return nil, bus.Explain(bus.Jobs, err)
	}
	return Parse(e)
}

// patiently does something with a bucket again, until it succeeds, fails for
// good, or an election would be over. A bucket that is gone fails at once.
func (s *Store) patiently(ctx context.Context, bucket string, do func() error) error {
	for began := time.Now(); ; {
		err := do()
		if err == nil || !bus.Passing(err) || time.Since(began) > patience || ctx.Err() != nil || s.ended() {
			return err
		}
		if _, gone := s.deps.JS.Stream(ctx, "KV_"+bucket); errors.Is(gone, jetstream.ErrStreamNotFound) {
			return gone
		}
		t := time.NewTimer(patienceAt)
		select {
		case <-t.C:
		case <-ctx.Done():
		case <-s.deps.Ending:
		}
		t.Stop()
	}
}

func (s *Store) ended() bool {
	select {
	case <-s.deps.Ending:
		return true
	default:
		return false
	}
}
