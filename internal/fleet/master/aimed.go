package master

import (
	"context"
	"errors"
	"slices"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/job"
)

// Bounds of the target lists that are remembered of jobs that another master
// collects.
const (
	maxAimed    = 16
	maxAimedIDs = 2 << 20
	// maxReturnMessage is the longest part of a return: its bytes in base64,
	// with what stands around them.
	maxReturnMessage = job.ChunkSize/3*4 + 4<<10
)

// aimed knows for whom jobs are. A peel may return something to a job that was
// for it, and to no other: the bucket of returns drops its oldest when it is
// full, so that else one peel could push out what the others said. It is used
// by one goroutine.
type aimed struct {
	l     *live
	lists map[string][]fleet.PeelID
	order []string // oldest first
	ids   int
}

// at reports whether a job that masters keep was for a peel; known is false
// when there is no such job.
func (a *aimed) at(jid string, id fleet.PeelID) (ours, known bool, err error) {
	if r := a.l.board.run(jid); r != nil {
		_, ours = slices.BinarySearch(r.targets, id)
		return ours, true, nil
	}
	list, ok := a.lists[jid]
	if !ok {
		if list, err = a.read(jid); errs.Is(err, errs.NotFound) {
			return false, false, nil
		}
		if err != nil {
			return false, false, err
		}
		a.keep(jid, list)
	}
	_, ours = slices.BinarySearch(list, id)
	return ours, true, nil
}

func (a *aimed) read(jid string) ([]fleet.PeelID, error) {
	ctx, cancel := context.WithTimeout(a.l.ctx, storeWait)
	defer cancel()
	rec, err := a.l.records.Read(ctx, jid)
	if errors.Is(err, jetstream.ErrInvalidKey) {
		return nil, errs.New(errs.NotFound, "%.64q is no job", jid)
	}
	if err != nil {
		return nil, err
	}
	return a.l.records.Targets(ctx, rec)
}

func (a *aimed) keep(jid string, list []fleet.PeelID) {
	for len(a.order) > 0 && (len(a.order) >= maxAimed || a.ids+len(list) > maxAimedIDs) {
		a.ids -= len(a.lists[a.order[0]])
		delete(a.lists, a.order[0])
		a.order = a.order[1:]
	}
	a.lists[jid] = list
	a.order = append(a.order, jid)
	a.ids += len(list)
}
