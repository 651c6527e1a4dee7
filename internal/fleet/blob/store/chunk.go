package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet/blob"
	"github.com/rind-project/rind/internal/fleet/bus"
)

// Put keeps a chunk of a file that was begun, and returns how far it is. Chunks
// come in their order; one that is there already is taken again.
func (s *Store) Put(ctx context.Context, owner Owner, sum string, n int, data []byte) (blob.Progress, error) {
	f, err := s.get(ctx, owner, sum)
	if err != nil {
		return blob.Progress{}, err
	}
	switch {
	case f.complete || n < f.stored:
		return f.progress(), nil
	case n > f.stored:
		return f.progress(), errs.New(errs.Conflict, "chunk %d comes before chunk %d", n, f.stored)
	case n >= blob.Chunks(f.size):
		return f.progress(), errs.New(errs.Invalid, "the file has %d chunks only", blob.Chunks(f.size))
	case len(data) != blob.ChunkLen(f.size, n):
		return f.progress(), errs.New(errs.Invalid, "chunk %d has %d bytes, and not %d", n, len(data), blob.ChunkLen(f.size, n))
	}
	js, _, _ := s.opened()
	if _, err := js.Publish(ctx, f.subject(n), data); err != nil {
		if api, ok := errors.AsType[*jetstream.APIError](err); ok {
			return f.progress(), errs.New(errs.Unavailable, "the bus does not keep the chunk: %w", api)
		}
		return f.progress(), bus.Explain(bus.FilesStream, err)
	}
	s.metrics.bytes.WithLabelValues("taken").Add(float64(len(data)))
	// Whoever began the file anew meanwhile has another generation.
	if _, err := s.deps.DB.Exec(ctx, `UPDATE blob_files SET stored = $1, changed_at = $2 WHERE owner = $3 AND sha256 = $4 AND generation = $5 AND stored = $6`,
		n+1, database.Micros(s.deps.Now()), string(owner), sum, f.generation, n); err != nil {
		return f.progress(), fmt.Errorf("noting a chunk: %w", err)
	}
	f.stored = n + 1
	return f.progress(), nil
}

// Done ends a file, all of whose chunks are there. What people bring is hashed
// as a whole, since any host may get it; what a peel brings is for who asked
// the peel, who hashes it.
func (s *Store) Done(ctx context.Context, owner Owner, sum string) error {
	f, err := s.get(ctx, owner, sum)
	if err != nil || f.complete {
		return err
	}
	if chunks := blob.Chunks(f.size); f.stored < chunks {
		return errs.New(errs.Conflict, "%d of %d chunks are there", f.stored, chunks)
	}
	if owner == People {
		if err := s.verify(ctx, f); err != nil {
			return err
		}
	}
	n, err := s.deps.DB.Exec(ctx, `UPDATE blob_files SET complete = TRUE, changed_at = $1 WHERE owner = $2 AND sha256 = $3 AND generation = $4`,
		database.Micros(s.deps.Now()), string(owner), sum, f.generation)
	if err != nil {
		return fmt.Errorf("noting a file: %w", err)
	}
	if n == 0 {
		return gone(sum)
	}
	s.known.forget(owner, sum)
	s.metrics.files.WithLabelValues("complete").Inc()
	return nil
}

// verify hashes a file as a whole. One that is another is deleted.
func (s *Store) verify(ctx context.Context, f *file) error {
	whole := sha256.New()
	for n := range blob.Chunks(f.size) {
		b, err := s.fetch(ctx, f, n)
		if err != nil {
			return err
		}
		whole.Write(b)
	}
	if hex.EncodeToString(whole.Sum(nil)) == f.sum {
		return nil
	}
	s.metrics.files.WithLabelValues("damaged").Inc()
	if err := s.remove(ctx, f); err != nil {
		return err
	}
	return errs.New(errs.Conflict, "the file is not the one with the hash %s: did it change while it was read? Bring it again", short(f.sum))
}

// fetch reads a chunk from the stream, past the memory.
func (s *Store) fetch(ctx context.Context, f *file, n int) ([]byte, error) {
	_, stream, _ := s.opened()
	if stream == nil {
		return nil, errs.New(errs.Unavailable, "the store of files does not run")
	}
	msg, err := stream.GetLastMsgForSubject(ctx, f.subject(n))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, gone(f.sum)
	}
	if err != nil {
		return nil, bus.Explain(bus.FilesStream, err)
	}
	s.metrics.bytes.WithLabelValues("read").Add(float64(len(msg.Data)))
	return msg.Data, nil
}

// Read returns a chunk of a complete file with its header. The bytes are shared
// and must not be changed.
func (s *Store) Read(ctx context.Context, owner Owner, sum string, n int) (blob.Header, []byte, error) {
	f, err := s.known.get(ctx, s, owner, sum)
	if err != nil {
		return blob.Header{}, nil, err
	}
	h := blob.Header{SHA256: sum, N: n, Size: f.size}
	if f.size == 0 && n == 0 {
		h.Sum = blob.Sum(nil)
		return h, nil, nil
	}
	if n < 0 || n >= blob.Chunks(f.size) {
		return h, nil, errs.New(errs.Invalid, "the file has %d chunks, from 0 on", blob.Chunks(f.size))
	}
	c, err := s.cache.get(ctx, f.subject(n), func() (chunk, error) {
		b, err := s.fetch(ctx, f, n)
		return chunk{data: b, sum: blob.Sum(b)}, err
	})
	if err != nil {
		return h, nil, err
	}
	h.Sum = c.sum
	return h, c.data, nil
}

// Delete removes a file.
func (s *Store) Delete(ctx context.Context, owner Owner, sum string) error {
	f, err := s.get(ctx, owner, sum)
	if err != nil {
		return err
	}
	s.metrics.files.WithLabelValues("deleted").Inc()
	return s.remove(ctx, f)
}
