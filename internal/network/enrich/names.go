package enrich

import (
	"net/netip"
	"sync"
	"time"

	"github.com/rind-project/rind/internal/network"
)

// names remembers which name an address was found by. What one client asked is
// kept beside what anybody asked, since thousands of names share an address and
// the client's own question says best whom it talks to.
//
// There are two generations, each of half of the limit: when the younger is
// full it becomes the older, and the older is forgotten. So memory is bounded,
// each step is constant work, and what is in use stays.
type names struct {
	half int
	ttl  time.Duration

	mu         sync.RWMutex
	young, old map[asked]found
}

// asked is an address at a tap, for a client or, with the zero Addr, for all.
type asked struct {
	tap          network.TapID
	client, addr netip.Addr
}

type found struct {
	name string
	at   time.Time
}

func newNames(limit int, ttl time.Duration) *names {
	return &names{half: limit / 2, ttl: ttl, young: map[asked]found{}, old: map[asked]found{}}
}

func (n *names) size() int {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return len(n.young) + len(n.old)
}

// Types of DNS records with an address (RFC 1035, RFC 3596), and how many
// answers are looked at and how long a name may be.
const (
	typeA        = 1
	typeAAAA     = 28
	maxAnswers   = 16
	maxNameBytes = 255
)

// learn takes the addresses of an answer.
func (n *names) learn(tap network.TapID, q *network.DNSQuery, now time.Time) {
	if n.half == 0 || !q.Answered || q.RCode != 0 || q.Type != typeA && q.Type != typeAAAA || q.Name == "" || len(q.Name) > maxNameBytes {
		return
	}
	f := found{q.Name, now}
	for i, text := range q.Answers {
		if i == maxAnswers {
			break
		}
		addr, err := netip.ParseAddr(text)
		if err != nil || addr.Zone() != "" || addr.IsUnspecified() || addr.IsLoopback() {
			continue // an alias, or how a filter says no
		}
		addr = addr.Unmap()
		n.put(asked{tap, q.Client.Unmap(), addr}, f)
		n.put(asked{tap: tap, addr: addr}, f)
	}
}

func (n *names) put(k asked, f found) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if _, ok := n.young[k]; !ok && len(n.young) >= n.half {
		n.young, n.old = make(map[asked]found, len(n.young)), n.young
	}
	n.young[k] = f
}

// find returns the name by which the client, else anybody at the tap, found an
// address last, if that is not too long ago.
func (n *names) find(tap network.TapID, client, addr netip.Addr, now time.Time) string {
	if n.half == 0 || !addr.IsValid() {
		return ""
	}
	addr, client = addr.Unmap(), client.Unmap()
	n.mu.RLock()
	defer n.mu.RUnlock()
	for _, k := range [...]asked{{tap, client, addr}, {tap: tap, addr: addr}} {
		for _, m := range [...]map[asked]found{n.young, n.old} {
			if f, ok := m[k]; ok && now.Sub(f.at) <= n.ttl {
				return f.name
			}
		}
	}
	return ""
}
