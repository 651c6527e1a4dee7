package archive

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/klauspost/compress/zstd"
)

// Writer writes an archive. Its first error stays: what was written is then no
// archive, as it has no trailer. It is not for concurrent use.
type Writer struct {
	zstd  *zstd.Encoder
	sum   hash.Hash
	part  *Part
	parts []Part
	buf   []byte
	err   error
}

// NewWriter begins an archive with its header.
func NewWriter(w io.Writer, h Header) (*Writer, error) {
	z, err := zstd.NewWriter(w, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1),
		zstd.WithEncoderCRC(true), zstd.WithWindowSize(1<<20))
	if err != nil {
		return nil, fmt.Errorf("making a zstd encoder: %w", err)
	}
	a := &Writer{zstd: z, sum: sha256.New()}
	h.Format = format
	a.json(recHeader, h)
	return a, a.err
}

// Begin begins a part.
func (a *Writer) Begin(kind, name string) error {
	a.part = &Part{Kind: kind, Name: name}
	a.json(recPart, a.part)
	return a.err
}

// Value writes a value of the bucket that was begun.
func (a *Writer) Value(v Value) error {
	b := append(a.buf[:0], byte(v.Op))
	b = binary.AppendVarint(b, v.Time.UnixNano())
	b = binary.AppendUvarint(b, uint64(len(v.Key)))
	b = append(b, v.Key...)
	a.buf = append(b, v.Data...)
	a.part.Values++
	a.part.Bytes += int64(len(v.Key) + len(v.Data))
	a.record(recValue, a.buf)
	return a.err
}

// Chunk writes bytes of the database that was begun, at most Chunk of them.
func (a *Writer) Chunk(b []byte) error {
	a.part.Bytes += int64(len(b))
	a.record(recChunk, b)
	return a.err
}

// File writes a file of the keys that were begun. Its path is relative to the
// data folder, with slashes.
func (a *Writer) File(path string, data []byte) error {
	if len(data) > maxFile {
		return fmt.Errorf("%s has over %d bytes", path, maxFile)
	}
	b := binary.AppendUvarint(a.buf[:0], uint64(len(path)))
	a.buf = append(append(b, path...), data...)
	a.part.Values++
	a.part.Bytes += int64(len(data))
	a.record(recFile, a.buf)
	return a.err
}

// End ends the part that was begun. What keeps it from being whole stands in
// it as its problem.
func (a *Writer) End(lastSeq uint64, note string, problem error) error {
	p := *a.part
	p.LastSeq, p.Note = lastSeq, note
	if problem != nil {
		p.Problem = problem.Error()
	}
	a.part = nil
	a.parts = append(a.parts, p)
	a.json(recEnd, p)
	return a.err
}

// Close writes the trailer. It does not close what is written to.
func (a *Writer) Close() (Trailer, error) {
	t := Trailer{Parts: a.parts, SHA256: hex.EncodeToString(a.sum.Sum(nil))}
	a.json(recTrailer, t)
	return t, errors.Join(a.err, a.zstd.Close())
}

// Abort lets go of what the writer holds, without a trailer.
func (a *Writer) Abort() {
	a.zstd.Reset(nil)
	_ = a.zstd.Close() // it has nothing left to write
}

func (a *Writer) json(kind byte, v any) {
	b, err := json.Marshal(v)
	if err != nil && a.err == nil {
		a.err = fmt.Errorf("encoding a record of the backup: %w", err)
	}
	a.record(kind, b)
}

func (a *Writer) record(kind byte, b []byte) {
	if a.err == nil && len(b) > maxRecord {
		a.err = fmt.Errorf("a record of the backup has %d bytes, over the limit of %d", len(b), maxRecord)
	}
	if a.err != nil {
		return
	}
	head := binary.AppendUvarint([]byte{kind}, uint64(len(b)))
	for _, part := range [][]byte{head, b} {
		a.sum.Write(part)
		if _, err := a.zstd.Write(part); err != nil {
			a.err = fmt.Errorf("writing the backup: %w", err)
			return
		}
	}
}
