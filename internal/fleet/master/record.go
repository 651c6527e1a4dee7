package master

import (
	"bytes"
	"compress/flate"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/bus"
)

// Limits of a record.
const (
	maxNamed      = 1000      // missing peels that a record names; more are found by its target list
	targetsChunk  = 512 << 10 // compressed bytes in one key
	maxTargetList = 64 << 20  // a million ids
)

// record is a job in the bucket jobs, under its id. The list of its targets is
// beside it under <jid>.targets.<n>, compressed, since it does not change.
type record struct {
	fleet.Job
	Master   string        `json:"master"`        // who sends it and collects the answers
	Epoch    int           `json:"epoch"`         // how many masters have
	Timeout  time.Duration `json:"timeout"`       // of each host, in nanoseconds
	All      bool          `json:"all,omitempty"` // it is for every peel
	Sent     int           `json:"sent"`          // positions that have it, or are about to
	Judged   int           `json:"judged"`        // waves whose health was looked at
	Deadline time.Time     `json:"deadline"`      // of those that were sent last
	Obeyed   uint64        `json:"obeyed"`        // revision of the last wish that was fulfilled
	Chunks   int           `json:"chunks"`        // of the target list

	revision uint64
}

// over reports whether the job has ended, and its end is written down.
func (r *record) over() bool { return !r.Ended.IsZero() }

// owed reports whether a host may still get the job, or answer it.
func (r *record) owed(now time.Time) bool {
	return !r.over() || r.State != fleet.JobCancelled && r.Summary.Missing > r.Summary.Unsent && now.Before(r.Expires)
}

// short leaves out a list that is too long for a record.
func (r record) short() record {
	if len(r.Summary.MissingPeels) > maxNamed {
		r.Summary.MissingPeels = nil
	}
	return r
}

// chunk is a piece of a target list: ids, a line each, compressed by DEFLATE
// as a whole and then cut.
type chunk struct {
	Deflate []byte `json:"deflate"`
}

func packTargets(ids []fleet.PeelID) ([][]byte, error) {
	var buf bytes.Buffer
	w, err := flate.NewWriter(&buf, flate.DefaultCompression)
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		if _, err := io.WriteString(w, string(id)+"\n"); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	var out [][]byte
	for all := buf.Bytes(); len(all) > 0; all = all[min(targetsChunk, len(all)):] {
		b, err := json.Marshal(chunk{all[:min(targetsChunk, len(all))]})
		if err != nil {
			return nil, err
		}
		out = append(out, b)
	}
	return out, nil
}

func unpackTargets(packed []byte) ([]fleet.PeelID, error) {
	text, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(packed)), maxTargetList))
	if err != nil {
		return nil, fmt.Errorf("unpacking a target list: %w", err)
	}
	var ids []fleet.PeelID
	for line := range strings.Lines(string(text)) {
		id, err := fleet.ParsePeelID(strings.TrimSuffix(line, "\n"))
		if err != nil {
			return nil, fmt.Errorf("unpacking a target list: %w", err)
		}
		ids = append(ids, id)
	}
	return ids, nil
}

func targetsKey(jid string, n int) string { return fmt.Sprintf("%s.targets.%d", jid, n) }

// undoWait bounds the removal of what is left of a job that was refused.
const undoWait = 10 * time.Second

// create writes the record of a new job. When it fails, nothing of the job is
// left.
func (l *live) create(ctx context.Context, r *record, ids []fleet.PeelID) error {
	if err := l.room(); err != nil {
		return errs.New(errs.Unavailable, "the job is not sent: %w", err)
	}
	err := l.writeDown(ctx, r, ids)
	if err == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoWait)
	defer cancel()
	// An acknowledgement may have been lost of what was written, so that the
	// record is removed too. Where nothing can be removed, nothing was written.
	_ = bus.Purge(ctx, l.js, bus.Jobs, r.JID)
	_ = bus.Purge(ctx, l.js, bus.Jobs, r.JID+".>")
	return err
}

// writeDown writes the targets first: a record that is there is complete.
func (l *live) writeDown(ctx context.Context, r *record, ids []fleet.PeelID) error {
	chunks, err := packTargets(ids)
	if err != nil {
		return fmt.Errorf("packing the targets: %w", err)
	}
	r.Chunks = len(chunks)
	for n, c := range chunks {
		err := l.patiently(ctx, bus.Jobs, func() error {
			_, err := l.jobs.Put(ctx, targetsKey(r.JID, n), c)
			return err
		})
		if err != nil {
			return unwritten(err)
		}
	}
	b, err := json.Marshal(r.short())
	if err != nil {
		return fmt.Errorf("encoding a job: %w", err)
	}
	if err := l.patiently(ctx, bus.Jobs, func() error { return l.createOnce(ctx, r, b) }); err != nil {
		return unwritten(err)
	}
	return nil
}

// createOnce writes a new record, and finds the one that an earlier try has
// written whose acknowledgement was lost.
func (l *live) createOnce(ctx context.Context, r *record, text []byte) (err error) {
	r.revision, err = l.jobs.Create(ctx, r.JID, text)
	if !errors.Is(err, jetstream.ErrKeyExists) {
		return err
	}
	e, read := l.jobs.Get(ctx, r.JID)
	if read != nil {
		return read
	}
	if !bytes.Equal(e.Value(), text) {
		return err
	}
	r.revision = e.Revision()
	return nil
}

// unwritten explains a job that could not be written down, and so is not sent.
func unwritten(err error) error {
	return errs.New(errs.Unavailable, "the job is not sent, since its record cannot be written: %w", bus.Explain(bus.Jobs, err))
}

// errSuperseded says that another master has written the record meanwhile.
var errSuperseded = errors.New("another master has taken up the job")

// update writes a record over the revision that it was read or written at.
func (l *live) update(ctx context.Context, r *record) error {
	b, err := json.Marshal(r.short())
	if err != nil {
		return fmt.Errorf("encoding a job: %w", err)
	}
	rev, err := l.jobs.Update(ctx, r.JID, b, r.revision)
	if api, ok := errors.AsType[*jetstream.APIError](err); ok && api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence {
		return errSuperseded
	}
	if err != nil {
		return bus.Explain(bus.Jobs, err)
	}
	r.revision = rev
	return nil
}

// read reads a job's record.
func (l *live) read(ctx context.Context, jid string) (*record, error) {
	e, err := l.jobs.Get(ctx, jid)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return nil, errs.New(errs.NotFound, "there is no job %s; jobs are kept for 7 days, and rind job list shows the latest", jid)
	}
	if err != nil {
		return nil, bus.Explain(bus.Jobs, err)
	}
	return parseRecord(e)
}

func parseRecord(e jetstream.KeyValueEntry) (*record, error) {
	var r record
	if err := json.Unmarshal(e.Value(), &r); err != nil {
		return nil, fmt.Errorf("reading the job %s: %w", e.Key(), err)
	}
	r.JID, r.revision = e.Key(), e.Revision()
	return &r, nil
}

// targets reads whom a job was for.
func (l *live) targets(ctx context.Context, r *record) ([]fleet.PeelID, error) {
	var packed []byte
	for n := range r.Chunks {
		e, err := l.jobs.Get(ctx, targetsKey(r.JID, n))
		if err != nil {
			return nil, fmt.Errorf("reading the targets of %s: %w", r.JID, bus.Explain(bus.Jobs, err))
		}
		var c chunk
		if err := json.Unmarshal(e.Value(), &c); err != nil {
			return nil, fmt.Errorf("reading the targets of %s: %w", r.JID, err)
		}
		packed = append(packed, c.Deflate...)
	}
	return unpackTargets(packed)
}
