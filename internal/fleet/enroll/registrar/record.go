package registrar

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/bus"
	"github.com/rind-project/rind/internal/fleet/enroll"
)

// An id has up to two records: the one that holds it, under the id, and one of
// another key that waits to replace it, under the id with this ending. A dot
// is never part of an id.
const waiting = ".next"

// versioned is a record with the revision at which it was read. Revision 0
// with found false means that there is none.
type versioned struct {
	enroll.Record
	key      string
	revision uint64
	found    bool
}

// slots reads both records of an id.
func (r *Registrar) slots(ctx context.Context, id fleet.PeelID) (cur, next versioned, err error) {
	if cur, err = r.read(ctx, string(id)); err != nil {
		return cur, next, err
	}
	next, err = r.read(ctx, string(id)+waiting)
	return cur, next, err
}

func (r *Registrar) read(ctx context.Context, key string) (versioned, error) {
	v := versioned{key: key}
	records, _, _, err := r.buckets()
	if err != nil {
		return v, err
	}
	e, err := records.Get(ctx, key)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return v, nil
	}
	if err != nil {
		return v, bus.Explain(bus.Enrollments, err)
	}
	if err := json.Unmarshal(e.Value(), &v.Record); err != nil {
		return v, fmt.Errorf("reading the enrollment record %s: %w", key, err)
	}
	v.revision, v.found = e.Revision(), true
	complete(&v.Record)
	return v, nil
}

// complete fills in what a record that was written by hand may lack.
func complete(rec *enroll.Record) {
	if rec.State == enroll.Suspended && rec.Suspension == nil {
		rec.Suspension = &fleet.Suspension{Detail: "its record does not say why"}
	}
}

// errChanged says that another server, or another request, wrote first.
var errChanged = errs.New(errs.Conflict, "the enrollment changed in the meantime; look at it and try again")

// write replaces a record at the revision at which it was read, acknowledged.
func (r *Registrar) write(ctx context.Context, at versioned, rec enroll.Record) error {
	records, _, idx, err := r.buckets()
	if err != nil {
		return err
	}
	data, err := json.Marshal(rec)
	if err != nil {
		return fmt.Errorf("writing the enrollment record %s: %w", at.key, err)
	}
	var revision uint64
	if at.found {
		revision, err = records.Update(ctx, at.key, data, at.revision)
	} else {
		revision, err = records.Create(ctx, at.key, data)
	}
	if changed(err) {
		return errChanged
	}
	if err != nil {
		return bus.Explain(bus.Enrollments, err)
	}
	idx.put(at.key, rec, revision)
	return nil
}

// remove deletes a record at the revision at which it was read.
func (r *Registrar) remove(ctx context.Context, at versioned) error {
	records, _, _, err := r.buckets()
	if err != nil {
		return err
	}
	err = records.Delete(ctx, at.key, jetstream.LastRevision(at.revision))
	if changed(err) {
		return errChanged
	}
	return bus.Explain(bus.Enrollments, err)
}

// changed reports whether a write failed because of its revision.
func changed(err error) bool {
	if errors.Is(err, jetstream.ErrKeyExists) {
		return true
	}
	api, ok := errors.AsType[*jetstream.APIError](err)
	return ok && api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence
}

// retry runs a read-decide-write again when another wrote in between.
func retry(f func() error) error {
	var err error
	for range 5 {
		if err = f(); !errors.Is(err, errChanged) {
			return err
		}
	}
	return err
}
