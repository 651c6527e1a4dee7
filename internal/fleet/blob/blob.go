// Package blob is how files travel between hosts and the server: in chunks, each
// hashed and the whole hashed, asked for one after the other, so that either
// side may be interrupted and go on where it was.
//
// A file has no name on the way down: its hash is what a peel asks for, and that
// it knows the hash, from a signed job, is its right to it. What peels bring up
// is kept under their own ids. The store is a room below, since a peel links
// none of it.
package blob

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	"github.com/rind-project/rind/internal/base/errs"
)

// Sizes.
const (
	Chunk     = 512 << 10 // bytes of every chunk but the last
	MaxSize   = 1 << 40   // of a file
	maxHeader = 4 << 10
	maxName   = 4 << 10
)

// What peels ask for.
const (
	AskGet   = "blob.get"
	AskBegin = "blob.begin"
	AskPut   = "blob.put"
	AskDone  = "blob.done"
)

// Header is what stands before the bytes of a chunk.
type Header struct {
	SHA256 string `json:"sha256"`         // of the whole file, lower-case hex
	N      int    `json:"n"`              // of the chunk, from 0
	Size   int64  `json:"size,omitempty"` // of the whole file, on the way down
	Sum    string `json:"sum,omitempty"`  // SHA-256 of the chunk
}

// Begin says which file is to come.
type Begin struct {
	SHA256 string `json:"sha256"`
	Size   int64  `json:"size"`
	Name   string `json:"name,omitempty"` // where it comes from, for people
}

// Progress says how far a file is.
type Progress struct {
	Next     int  `json:"next"`     // the first chunk that is not there
	Chunks   int  `json:"chunks"`   // how many there are
	Complete bool `json:"complete"` // it can be asked for
}

// Pushed is what a peel returns that has brought a file.
type Pushed struct {
	Path   string `json:"path"`
	SHA256 string `json:"sha256"`
	Size   int64  `json:"size_bytes"`
}

// Chunks is how many chunks a file of a size has.
func Chunks(size int64) int { return int((size + Chunk - 1) / Chunk) }

// ChunkLen is how many bytes a chunk of a file has.
func ChunkLen(size int64, n int) int {
	return int(min(Chunk, max(0, size-int64(n)*Chunk)))
}

// Sum is the hash of bytes as it travels.
func Sum(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// CheckSum refuses what is no SHA-256 in lower-case hex.
func CheckSum(s string) error {
	if b, err := hex.DecodeString(s); err != nil || len(b) != sha256.Size || hex.EncodeToString(b) != s {
		return errs.New(errs.Invalid, "%.80q is no SHA-256 in lower-case hex digits", s)
	}
	return nil
}

// Check refuses a file that cannot be.
func (b Begin) Check() error {
	if err := CheckSum(b.SHA256); err != nil {
		return err
	}
	if b.Size < 0 || b.Size > MaxSize {
		return errs.New(errs.TooLarge, "a file has from 0 to %d bytes, not %d", int64(MaxSize), b.Size)
	}
	if len(b.Name) > maxName {
		return errs.New(errs.TooLarge, "the file's name has %d bytes, at most %d are kept", len(b.Name), maxName)
	}
	return nil
}

// Pack puts a header before bytes: a line of JSON, then the bytes.
func Pack(h Header, b []byte) ([]byte, error) {
	line, err := json.Marshal(h)
	if err != nil {
		return nil, err
	}
	out := make([]byte, 0, len(line)+1+len(b))
	return append(append(append(out, line...), '\n'), b...), nil
}

// Unpack takes a header and its bytes apart, and holds them against the hash of
// the chunk. The bytes are those of data.
func Unpack(data []byte) (Header, []byte, error) {
	var h Header
	line, _, ok := bytes.Cut(data[:min(len(data), maxHeader)], []byte("\n"))
	if !ok {
		return h, nil, errs.New(errs.Invalid, "a chunk has no header")
	}
	b := data[len(line)+1:]
	if err := json.Unmarshal(line, &h); err != nil {
		return h, nil, errs.New(errs.Invalid, "the header of a chunk cannot be read: %w", err)
	}
	switch {
	case CheckSum(h.SHA256) != nil:
		return h, nil, CheckSum(h.SHA256)
	case h.N < 0 || h.N > Chunks(MaxSize) || h.Size < 0 || h.Size > MaxSize:
		return h, nil, errs.New(errs.Invalid, "chunk %d of a file of %d bytes cannot be", h.N, h.Size)
	case len(b) > Chunk:
		return h, nil, errs.New(errs.TooLarge, "chunk %d has %d bytes, at most %d are taken", h.N, len(b), Chunk)
	case Sum(b) != h.Sum:
		return h, nil, errs.New(errs.Invalid, "chunk %d is damaged: its hash is another", h.N)
	}
	return h, b, nil
}
