// Package archive reads and writes a backup of a fleet: one file with every
// bucket that lasts, each with its history in order, and beside them a copy of
// the SQLite database and, when that was asked for, the fleet's keys.
//
// The file is one zstd stream of records: a byte that says of which kind, the
// length of what follows as an unsigned varint, and that many bytes. The first
// record is the header, the last one the trailer, which names every part with
// its counts and holds the SHA-256 of all records before it, so that a file
// that was cut off or changed is noticed before anything is done with it.
// Reading and writing need memory for a few values, whatever the size.
package archive

import (
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet/bus"
)

// format is the version of the layout.
const format = 1

// The limits of what is read. A value of a bucket has at most 1000 KiB.
const (
	maxRecord = 2 << 20
	maxParts  = 64
	maxKey    = 1024
	maxFiles  = 256
	maxFile   = 64 << 10
	// Chunk is the most bytes of the database in one record.
	Chunk = 512 << 10
)

// Kinds of records.
const (
	recHeader  = 'H' // JSON: Header
	recPart    = 'P' // JSON: a Part that begins
	recValue   = 'V' // operation, time, length of the key, key, data
	recChunk   = 'C' // bytes of the database
	recFile    = 'F' // length of the path, path, data
	recEnd     = 'E' // JSON: the Part that ended, with its counts
	recTrailer = 'T' // JSON: Trailer
)

// Kinds of parts.
const (
	KindBucket   = "bucket"
	KindDatabase = "database"
	KindKeys     = "keys"
)

// Header says what a backup is of.
type Header struct {
	Format  int       `json:"format"`
	Version string    `json:"version"` // of the server that made it
	Fleet   string    `json:"fleet"`   // pin of the fleet's CA
	Made    time.Time `json:"made"`
}

// Part is one bucket, the database or the keys.
type Part struct {
	Kind    string `json:"kind"`
	Name    string `json:"name"`
	Values  int64  `json:"values"` // of a bucket: values and marks of deletion; of the keys: files
	Bytes   int64  `json:"bytes"`  // of what is in it, before it is packed
	LastSeq uint64 `json:"last_seq,omitempty"`
	Note    string `json:"note,omitempty"`    // why there is nothing, where that is no failure
	Problem string `json:"problem,omitempty"` // why it is not whole; it is not restored then
}

// Trailer ends an archive.
type Trailer struct {
	Parts  []Part `json:"parts"`
	SHA256 string `json:"sha256"` // of all records before, in hex
}

// Part returns the part of that kind and name.
func (t Trailer) Part(kind, name string) (Part, bool) {
	for _, p := range t.Parts {
		if p.Kind == kind && p.Name == name {
			return p, true
		}
	}
	return Part{}, false
}

// Failed reports whether a part is not whole.
func (t Trailer) Failed() bool {
	for _, p := range t.Parts {
		if p.Problem != "" {
			return true
		}
	}
	return false
}

// Op is what a value of a bucket does to its key.
type Op byte

// The operations, as JetStream KV has them.
const (
	Put Op = iota
	Delete
	Purge
)

// operationHeader is how JetStream KV marks what is no put.
const operationHeader = "KV-Operation"

// header is the value of KV-Operation, "" for a put.
func (o Op) header() string { return [...]string{"", "DEL", "PURGE"}[o] }

// opOf is the inverse of header. Anything else is a put, as KV itself has it.
func opOf(header string) Op {
	switch header {
	case "DEL":
		return Delete
	case "PURGE":
		return Purge
	}
	return Put
}

// Value is one value in the history of a bucket.
type Value struct {
	Op   Op
	Time time.Time // when it was stored
	Key  string    // of the stream of events: its subject
	Data []byte
}

// check refuses what would not be a value of the bucket: a key decides under
// which subject it is published, with the rights of the server.
func (v Value) check(bucket string, limit int32) error {
	if v.Op > Purge {
		return damaged("a value of %s has the operation %d, which there is not", bucket, v.Op)
	}
	if !goodKey(v.Key) {
		return damaged("%s has a value under the key %.100q, which is none", bucket, v.Key)
	}
	if bucket == bus.EventsStream && !strings.HasPrefix(v.Key, prefixOf(bus.JobEvents)) && !strings.HasPrefix(v.Key, prefixOf(bus.StoredEvents)) {
		return damaged("%s has an event under the subject %.100q, which is not one of its own", bucket, v.Key)
	}
	if len(v.Data) > int(limit) {
		return damaged("%s has a value of %d bytes under %.100q; the bucket takes %d", bucket, len(v.Data), v.Key, limit)
	}
	return nil
}

func prefixOf(subject string) string { return strings.TrimSuffix(subject, ">") }

// goodKey reports whether a key is one subject of one or more tokens, without
// a wildcard or a space. What KV allows is narrower by a few characters; what
// is stored was let in by the server that stored it.
func goodKey(key string) bool {
	if key == "" || len(key) > maxKey {
		return false
	}
	for token := range strings.SplitSeq(key, ".") {
		if token == "" {
			return false
		}
	}
	for i := range len(key) {
		if c := key[i]; c <= ' ' || c >= 0x7f || c == '*' || c == '>' {
			return false
		}
	}
	return true
}

// specs are the buckets that last, by name, with the size of their values.
func specs() map[string]jetstream.StreamConfig {
	all := map[string]jetstream.StreamConfig{}
	for _, cfg := range bus.LastingConfigs() {
		all[bus.NameOf(cfg.Name)] = cfg
	}
	return all
}

func damaged(format string, args ...any) error {
	return errs.New(errs.Invalid, "the backup is damaged, cut off, or none of Rind: "+format, args...)
}
