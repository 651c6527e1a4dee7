package gen

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
)

// kind is what a conversation is.
type kind uint8

const (
	kindDNS kind = iota
	kindDNSFragmented
	kindTLS12
	kindTLS13
	kindTLSLarge // TLS 1.3 whose ClientHello has two segments
	kindQUIC
	kindHTTP
	kindSSH
	kindDHCP
	kindNTP
	kindPing
	kindScan
	kindScanAnswered
	kindUDP
	kindTCP
	kindARP
	kindBroken
	kinds
)

// shares say how many of 100,000 conversations are of a kind, and how much of
// what is left for payload one of them gets.
var shares = [kinds]struct {
	name  string
	share int // of 100,000
	bulk  float64
}{
	kindDNS:           {"DNS over UDP", 28_000, 0},
	kindDNSFragmented: {"DNS with a fragmented answer", 100, 0},
	kindTLS12:         {"TLS 1.2 with certificates", 17_000, 1},
	kindTLS13:         {"TLS 1.3", 7_000, 1.2},
	kindTLSLarge:      {"TLS 1.3, ClientHello of two segments", 10_000, 1.2},
	kindQUIC:          {"QUIC", 3_400, 3},
	kindHTTP:          {"HTTP", 12_000, 0.8},
	kindSSH:           {"SSH", 700, 3},
	kindDHCP:          {"DHCP", 400, 0},
	kindNTP:           {"NTP", 900, 0},
	kindPing:          {"ICMP echo", 2_700, 0},
	kindScan:          {"SYN scan, unanswered", 6_500, 0},
	kindScanAnswered:  {"SYN scan, refused", 7_500, 0},
	kindUDP:           {"UDP of no known kind", 1_500, 2},
	kindTCP:           {"TCP of no known kind", 1_900, 2},
	kindARP:           {"ARP", 0, 0}, // no flows: their number is of its own
	kindBroken:        {"malformed", 0, 0},
}

// plan is a conversation to come.
type plan struct {
	start int64
	seed  uint64
	kind  kind
	bulk  int // packets of payload beside those that its kind always has
}

type generator struct {
	cfg   Config
	rng   *rand.Rand
	plans []plan
	mix   Mix
	made  [kinds]int
	notes notes
	pool  []byte // of bytes that look like ciphertext
	certs []chain
	names []string
	index uint32
}

// notes count what was made.
type notes struct{ dns, hellos, certificates, quic, v6, tagged, flows, fragments, again int }

func newGenerator(cfg Config) *generator {
	g := &generator{cfg: cfg, rng: rand.New(rand.NewPCG(cfg.Seed, 1)), pool: make([]byte, 1<<20)}
	for i := 0; i+8 <= len(g.pool); i += 8 {
		le.PutUint64(g.pool[i:], g.rng.Uint64())
	}
	g.makeNames()
	g.makeChains()
	return g
}

// plan lays out the conversations in the order of their beginning, and deals
// out the packets that are left when each has what it needs: a few get most.
func (g *generator) plan() {
	for k := range kinds {
		n := g.cfg.Flows * shares[k].share / 100_000
		switch k {
		case kindARP:
			n = g.cfg.Flows / 30
		case kindBroken:
			n = g.cfg.Flows / 250
		}
		for range n {
			g.plans = append(g.plans, plan{
				start: base + int64(g.rng.Float64()*0.93*float64(g.cfg.Span)), seed: g.rng.Uint64(), kind: k,
			})
		}
	}
	slices.SortFunc(g.plans, func(a, b plan) int { return cmp.Or(cmp.Compare(a.start, b.start), cmp.Compare(a.seed, b.seed)) })
	left, sum := g.cfg.Packets, 0.0
	weights := make([]float64, len(g.plans))
	for i := range g.plans {
		p := &g.plans[i]
		left -= g.open(p).fixed()
		// A Pareto distribution, cut off so that no single flow rules.
		weights[i] = shares[p.kind].bulk * min(300, math.Pow(1-g.rng.Float64(), -1/1.1))
		sum += weights[i]
	}
	g.notes, g.index, g.made = notes{}, 0, [kinds]int{}
	dealt, part := 0, 0.0
	for i := range g.plans {
		part += weights[i]
		upto := int(float64(max(0, left)) * part / sum)
		g.plans[i].bulk, dealt = upto-dealt, upto
	}
}

func (g *generator) count() {
	add := func(name string, n int) { g.mix.Counts = append(g.mix.Counts, Count{name, n}) }
	n := &g.notes
	add("conversations with addresses", n.flows)
	add("of them IPv6", n.v6)
	add("of them with a VLAN tag", n.tagged)
	add("DNS messages", n.dns)
	add("TLS ClientHellos over TCP", n.hellos)
	add("handshakes that show certificates", n.certificates)
	add("QUIC connections with an encrypted Initial", n.quic)
	add("fragments", n.fragments)
	add("segments sent twice", n.again)
	for k := range kinds {
		add(shares[k].name, g.made[k])
	}
}
