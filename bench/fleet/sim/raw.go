package sim

import (
	"crypto/ed25519"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rind-project/rind/bench/fleet/socket"
	"github.com/rind-project/rind/internal/fleet"
)

// Kinds of raw rounds, the first byte of a message on RawAll. What follows is
// the public key, a signature, and what was signed.
const (
	RawEcho     = 'e' // verify and answer
	RawEchoFast = 'f' // answer
	RawStore    = 's' // verify, publish into a stream, wait for its acknowledgement
	RawStoreOff = 't' // publish into a stream, wait for its acknowledgement
)

// RawHeader is how many bytes come before what was signed.
const RawHeader = 1 + ed25519.PublicKeySize + ed25519.SignatureSize

// raw answers raw rounds with as little work as can be: that is the limit that
// the product's figures are held against.
type raw struct {
	reply  []byte
	acked  atomic.Int64
	failed atomic.Int64

	mu   sync.Mutex
	last time.Time
}

// arm sets what is answered, and the counts to nothing.
func (r *raw) arm(bytes int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reply = []byte(filler(bytes))
	r.acked.Store(0)
	r.failed.Store(0)
}

func (r *raw) onMessage(id fleet.PeelID, s *socket.Socket, data []byte) {
	if len(data) < RawHeader {
		r.failed.Add(1)
		return
	}
	kind := data[0]
	if kind == RawEcho || kind == RawStore {
		key, sig := data[1:1+ed25519.PublicKeySize], data[1+ed25519.PublicKeySize:RawHeader]
		if !ed25519.Verify(key, data[RawHeader:], sig) {
			r.failed.Add(1)
			return
		}
	}
	if kind == RawEcho || kind == RawEchoFast {
		if err := s.Publish(RawSubject(id), r.reply); err != nil {
			r.failed.Add(1)
		}
		return
	}
	s.Request(RawStored+string(id), r.reply, rawLimit, func(data []byte, err error) {
		// A stream acknowledges with its name and the sequence.
		if err != nil || len(data) == 0 || data[0] != '{' || string(data[:min(len(data), 9)]) == `{"error":` {
			r.failed.Add(1)
			return
		}
		now := time.Now()
		r.mu.Lock()
		r.last = now
		r.mu.Unlock()
		r.acked.Add(1)
	})
}

// rawLimit is how long a stream may take to acknowledge.
const rawLimit = 2 * time.Minute
