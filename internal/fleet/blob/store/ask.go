package store

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/blob"
	"github.com/rind-project/rind/internal/fleet/bus"
)

var errPaced = errors.New("this server sends as much as it may just now (files.max_rate); ask later")

// final turns an error that asking again does not help into a refusal.
func final(err error) error {
	switch errs.KindOf(err) {
	case errs.Invalid, errs.NotFound, errs.TooLarge, errs.Conflict, errs.Gone:
		return bus.Refused("%s", err)
	}
	return err
}

// onGet gives a peel a chunk of what people brought. Knowing the hash is the
// right to it: it stood in a signed job. There is no list.
func (s *Store) onGet(ctx context.Context, _ fleet.PeelID, data []byte) ([]byte, error) {
	var req blob.Header
	if err := json.Unmarshal(data, &req); err != nil || blob.CheckSum(req.SHA256) != nil {
		return nil, bus.Refused("a chunk is asked for by the file's hash and a number")
	}
	h, b, err := s.Read(ctx, People, req.SHA256, req.N)
	if err != nil {
		return nil, final(err)
	}
	if !s.paced.AllowN(s.deps.Now(), len(b)) {
		s.metrics.bytes.WithLabelValues("paced").Add(float64(len(b)))
		return nil, errPaced
	}
	s.metrics.bytes.WithLabelValues("sent").Add(float64(len(b)))
	return blob.Pack(h, b)
}

// onBegin takes note of a file that a peel brings.
func (s *Store) onBegin(ctx context.Context, id fleet.PeelID, data []byte) ([]byte, error) {
	var b blob.Begin
	if err := json.Unmarshal(data, &b); err != nil {
		return nil, bus.Refused("what is to come cannot be read: %s", err)
	}
	p, err := s.Begin(ctx, OfPeel(id), b, string(id))
	if err != nil {
		return nil, final(err)
	}
	return json.Marshal(p)
}

func (s *Store) onPut(ctx context.Context, id fleet.PeelID, data []byte) ([]byte, error) {
	h, b, err := blob.Unpack(data)
	if err != nil {
		return nil, final(err)
	}
	p, err := s.Put(ctx, OfPeel(id), h.SHA256, h.N, b)
	if err != nil && !errs.Is(err, errs.Conflict) { // where it is to go on is in the progress
		return nil, final(err)
	}
	return json.Marshal(p)
}

func (s *Store) onDone(ctx context.Context, id fleet.PeelID, data []byte) ([]byte, error) {
	var b blob.Begin
	if err := json.Unmarshal(data, &b); err != nil {
		return nil, bus.Refused("what is done cannot be read: %s", err)
	}
	return nil, final(s.Done(ctx, OfPeel(id), b.SHA256))
}
