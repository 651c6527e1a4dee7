package pipeline

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/rind-project/rind/internal/network/packet"
)

// quarantineSuffix is how the names of its files end.
const quarantineSuffix = ".quarantine.pcap"

// Quarantine is a folder of packets on which parsers panicked, each a capture
// file of its own, up to a number of bytes; later ones are counted and not
// kept. Several pipelines may share it.
type Quarantine struct {
	dir string
	max int64

	mu      sync.Mutex
	used    int64
	kept    uint64
	refused uint64
}

// OpenQuarantine makes the folder when it is not there, and counts what is in
// it already.
func OpenQuarantine(dir string, maxBytes int64) (*Quarantine, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the quarantine folder: %w", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("reading the quarantine folder: %w", err)
	}
	q := &Quarantine{dir: dir, max: maxBytes}
	for _, e := range entries {
		if info, err := e.Info(); err == nil && strings.HasSuffix(e.Name(), quarantineSuffix) {
			q.used += info.Size()
		}
	}
	return q, nil
}

// Counts returns how many packets were kept, and how many were not.
func (q *Quarantine) Counts() (kept, refused uint64) {
	if q == nil {
		return 0, 0
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.kept, q.refused
}

// Keep writes a packet to a file named after the parser and the packet's time.
// A nil Quarantine keeps nothing.
func (q *Quarantine) Keep(parser string, ts int64, link packet.LinkType, data []byte, wireLen int) {
	if q == nil {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	file := captureFile(ts, link, data, wireLen)
	if q.used+int64(len(file)) > q.max {
		q.refused++
		return
	}
	stamp := time.Unix(0, ts).UTC().Format("20060102T150405.000000000")
	name := fmt.Sprintf("%s-%s-%d%s", parser, stamp, q.kept, quarantineSuffix)
	if err := os.WriteFile(filepath.Join(q.dir, name), file, 0o600); err != nil {
		q.refused++
		return
	}
	q.used += int64(len(file))
	q.kept++
}

// captureFile is a pcap file (nanoseconds, little endian) of one packet.
func captureFile(ts int64, link packet.LinkType, data []byte, wireLen int) []byte {
	le := binary.LittleEndian
	b := make([]byte, 0, 40+len(data))
	for _, v := range [...]uint32{
		0xa1b23c4d, 2 | 4<<16, 0, 0, 262144, uint32(link),
		uint32(ts / 1e9), uint32(ts % 1e9), uint32(len(data)), uint32(max(wireLen, len(data))),
	} {
		b = le.AppendUint32(b, v)
	}
	return append(b, data...)
}
