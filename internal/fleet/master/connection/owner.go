package connection

import (
	"sync"
	"time"

	"github.com/rind-project/rind/internal/fleet"
)

// owners remembers whose the connections are. A server that is asked for the
// permissions verifies the one of every connection anew for each page, which
// would keep a server with many peels busy all the time. So the events tell,
// and it is asked only of those that no event told of.
type owners struct {
	mu sync.Mutex
	by map[ID]owner
}

// owner is whom a connection belongs to: "" for one that is no peel's.
type owner struct {
	peel fleet.PeelID
	at   time.Time
}

func newOwners() *owners { return &owners{by: map[ID]owner{}} }

func (o *owners) put(c ID, peel fleet.PeelID) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.by[c] = owner{peel, time.Now()}
}

func (o *owners) of(c ID) (fleet.PeelID, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	who, known := o.by[c]
	return who.peel, known
}

// keep forgets the connections of a server that its list, begun at a time, does
// not have any more.
func (o *owners) keep(server string, there map[uint64]bool, began time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for c, who := range o.by {
		if c.Server == server && !there[c.CID] && who.at.Before(began) {
			delete(o.by, c)
		}
	}
}

// gone forgets a server with its connections.
func (o *owners) gone(server string) { o.keep(server, nil, time.Now().Add(time.Hour)) }
