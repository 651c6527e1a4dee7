package archive

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"hash"
	"io"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/rind-project/rind/internal/base/errs"
)

// Visitor is told of what an archive holds, in its order. Each field may be
// nil. Data belongs to the reader: it is overwritten after the call.
type Visitor struct {
	Header func(Header) error
	Part   func(Part) error                   // it begins
	Value  func(bucket string, v Value) error // of a bucket
	Chunk  func(b []byte) error               // of the database
	File   func(path string, b []byte) error
	End    func(Part) error
}

// Check reads an archive to its end and says whether it is whole.
func Check(r io.Reader) (Header, Trailer, error) { return Read(r, Visitor{}) }

// Read reads an archive and tells the visitor of it. What the visitor was told
// is only known to be as it was written when Read returns without an error, so
// that whoever changes something by it calls Check before.
func Read(r io.Reader, v Visitor) (Header, Trailer, error) {
	z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(8<<20))
	if err != nil {
		return Header{}, Trailer{}, damaged("%w", err)
	}
	defer z.Close()
	a := &reader{in: bufio.NewReaderSize(z, 64<<10), sum: sha256.New(), visit: v, specs: specs()}
	t, err := a.read()
	return a.header, t, err
}

type reader struct {
	in    *bufio.Reader
	sum   hash.Hash
	visit Visitor
	specs map[string]jetstream.StreamConfig

	header Header
	part   *Part // the one that was begun, with what was counted of it
	parts  []Part
	buf    []byte
}

func (a *reader) read() (Trailer, error) {
	kind, b, err := a.next()
	if err != nil {
		return Trailer{}, err
	}
	if kind != recHeader || json.Unmarshal(b, &a.header) != nil {
		return Trailer{}, damaged("it does not begin with a header")
	}
	if a.header.Format != format {
		return Trailer{}, errs.New(errs.Invalid, "the backup has the format %d, written by Rind %.40q; this version reads format %d", a.header.Format, a.header.Version, format)
	}
	if err := told(a.visit.Header, a.header); err != nil {
		return Trailer{}, err
	}
	for {
		sum := hex.EncodeToString(a.sum.Sum(nil))
		kind, b, err := a.next()
		if err != nil {
			return Trailer{}, err
		}
		if kind == recTrailer {
			return a.trailer(b, sum)
		}
		if err := a.take(kind, b); err != nil {
			return Trailer{}, err
		}
	}
}

// next reads a record. The bytes are good until the next call.
func (a *reader) next() (kind byte, b []byte, err error) {
	kind, err = a.in.ReadByte()
	if err != nil {
		return 0, nil, ended(err)
	}
	n, err := binary.ReadUvarint(a.in)
	if err != nil {
		return 0, nil, ended(err)
	}
	if n > maxRecord {
		return 0, nil, damaged("a record of %d bytes; the limit is %d", n, maxRecord)
	}
	a.buf = slices.Grow(a.buf[:0], int(n))[:n]
	if _, err := io.ReadFull(a.in, a.buf); err != nil {
		return 0, nil, ended(err)
	}
	a.sum.Write(binary.AppendUvarint([]byte{kind}, n))
	a.sum.Write(a.buf)
	return kind, a.buf, nil
}

// ended words the end of the input where there is none yet. What comes from
// below, such as a connection that broke, is passed on.
func ended(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return damaged("it ends in the middle")
	}
	return damaged("%w", err)
}

func (a *reader) take(kind byte, b []byte) error {
	switch {
	case kind == recPart && a.part == nil:
		return a.begin(b)
	case kind == recEnd && a.part != nil:
		return a.end(b)
	case kind == recValue && a.part != nil && a.part.Kind == KindBucket:
		return a.value(b)
	case kind == recChunk && a.part != nil && a.part.Kind == KindDatabase && len(b) <= Chunk:
		a.part.Bytes += int64(len(b))
		return told(a.visit.Chunk, b)
	case kind == recFile && a.part != nil && a.part.Kind == KindKeys:
		return a.file(b)
	}
	return damaged("a record of the kind %q where it cannot be", kind)
}

func (a *reader) begin(b []byte) error {
	var p Part
	if err := json.Unmarshal(b, &p); err != nil {
		return damaged("a part that cannot be read")
	}
	if len(a.parts) == maxParts {
		return damaged("it has over %d parts", maxParts)
	}
	for _, have := range a.parts {
		if have.Kind == p.Kind && have.Name == p.Name {
			return damaged("the %s %.40q stands there twice", p.Kind, p.Name)
		}
	}
	switch _, known := a.specs[p.Name]; {
	case p.Kind == KindBucket && !known:
		return errs.New(errs.Invalid, "the backup holds a bucket %.40q, which this version does not keep; it was made by Rind %.40q", p.Name, a.header.Version)
	case p.Kind != KindBucket && p.Kind != KindDatabase && p.Kind != KindKeys:
		return damaged("a part of the kind %.40q", p.Kind)
	}
	a.part = &Part{Kind: p.Kind, Name: p.Name}
	return told(a.visit.Part, *a.part)
}

func (a *reader) end(b []byte) error {
	var p Part
	if err := json.Unmarshal(b, &p); err != nil {
		return damaged("the end of a part that cannot be read")
	}
	if p.Kind != a.part.Kind || p.Name != a.part.Name || p.Values != a.part.Values || p.Bytes != a.part.Bytes {
		return damaged("the %s %s has %d values and %d bytes, and should have %d and %d", a.part.Kind, a.part.Name, a.part.Values, a.part.Bytes, p.Values, p.Bytes)
	}
	a.part = nil
	a.parts = append(a.parts, p)
	return told(a.visit.End, p)
}

func (a *reader) value(b []byte) error {
	bad := func() error { return damaged("a value of %s cannot be read", a.part.Name) }
	if len(b) == 0 {
		return bad()
	}
	v := Value{Op: Op(b[0])}
	at, n := binary.Varint(b[1:])
	if n <= 0 {
		return bad()
	}
	b = b[1+n:]
	v.Time = time.Unix(0, at)
	size, n := binary.Uvarint(b)
	if n <= 0 || size > uint64(len(b)-n) {
		return bad()
	}
	b = b[n:]
	v.Key, v.Data = string(b[:size]), b[size:]
	if err := v.check(a.part.Name, a.specs[a.part.Name].MaxMsgSize); err != nil {
		return err
	}
	a.part.Values++
	a.part.Bytes += int64(len(v.Key) + len(v.Data))
	if a.visit.Value == nil {
		return nil
	}
	return a.visit.Value(a.part.Name, v)
}

func (a *reader) file(b []byte) error {
	size, n := binary.Uvarint(b)
	if n <= 0 || size > uint64(len(b)-n) || size > maxKey {
		return damaged("a key that cannot be read")
	}
	name, data := string(b[n:n+int(size)]), b[n+int(size):]
	folder, base := path.Split(name)
	if folder != "keys/" && folder != "pki/" || base == "" || base == "." || base == ".." || strings.ContainsAny(base, "/\\\x00") {
		return damaged("a key under the path %.100q", name)
	}
	if a.part.Values++; a.part.Values > maxFiles || len(data) > maxFile {
		return damaged("too many keys, or one of over %d bytes", maxFile)
	}
	a.part.Bytes += int64(len(data))
	if a.visit.File == nil {
		return nil
	}
	return a.visit.File(name, data)
}

// trailer compares what was read with what was written. sum is the hash of all
// records before the trailer.
func (a *reader) trailer(b []byte, sum string) (Trailer, error) {
	var t Trailer
	if json.Unmarshal(b, &t) != nil || a.part != nil {
		return t, damaged("its end cannot be read")
	}
	if t.SHA256 != sum || !slices.Equal(t.Parts, a.parts) {
		return t, damaged("its hash is not the one that it was written with")
	}
	if _, err := a.in.ReadByte(); !errors.Is(err, io.EOF) {
		return t, damaged("something follows its end")
	}
	return t, nil
}

// told calls a function of the visitor, when there is one.
func told[T any](f func(T) error, v T) error {
	if f == nil {
		return nil
	}
	return f(v)
}
