package pipeline

import (
	"encoding/binary"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/rind-project/rind/internal/network/capture"
	"github.com/rind-project/rind/internal/network/packet"
	"github.com/rind-project/rind/internal/network/packet/parse/parsetest"
)

// trace is the beginning of a capture in memory.
type trace []stamped

// stamped is a frame and its time.
type stamped struct {
	at   int64
	data []byte
}

// Packet implements capture.Handler.
func (c *trace) Packet(ts int64, link packet.LinkType, data []byte, _ int) {
	if link == packet.LinkEthernet {
		*c = append(*c, stamped{ts, slices.Clone(data)})
	}
}

// trace reads a capture beside a parser.
func (d delivery) trace(t *testing.T, capt string) trace {
	t.Helper()
	f, err := capture.OpenFile(t.Context(), filepath.Join("../packet", d.room, "testdata", capt+".pcap"), capture.FileOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var c trace
	for err == nil {
		_, err = f.Read(&c, 0)
	}
	return c
}

// payload is where what a frame carries begins; of one that is not IP, where
// its own header ends.
func payload(f []byte) int {
	at, proto := 14, byte(0)
	switch {
	case f[12] == 8 && f[13] == 0:
		at, proto = at+int(f[14]&15)*4, f[23]
	case f[12] == 0x86 && f[13] == 0xdd:
		at, proto = at+40, f[20]
	}
	switch proto {
	case 6:
		at += int(f[at+12]>>4) * 4
	case 17:
		at += 8
	}
	return min(at, len(f))
}

// move gives the hosts of a frame other addresses, the same in every frame of
// a number.
func move(f []byte, i uint32) {
	switch {
	case f[12] == 8 && f[13] == 0:
		for _, a := range [][]byte{f[26:30], f[30:34]} {
			if a[0] == 192 {
				a[0], a[1], a[2] = 10+byte(i>>16), byte(i>>8), byte(i)
			}
		}
	case f[12] == 0x86 && f[13] == 0xdd:
		for _, a := range [][]byte{f[22:38], f[38:54]} {
			if a[0] != 0xff {
				binary.BigEndian.PutUint32(a[8:], i)
			}
		}
	default: // ARP, LLDP, CDP: the sender's hardware address and what it says
		binary.BigEndian.PutUint32(f[8:], i)
		if len(f) >= 42 && f[12] == 8 {
			binary.BigEndian.PutUint32(f[24:], i)
			binary.BigEndian.PutUint32(f[28:], i+1)
		}
	}
}

// hostile puts a conversation into a pipeline as somebody with bad intent
// might have it: letters are others each time, so that no name comes twice;
// segments are left out, cut off or sent twice, and most connections never end.
func (c trace) hostile(p *Pipeline, rng *rand.Rand, i uint32, at *int64) {
	last := len(c)
	if i%3 == 1 {
		last = 1 + rng.IntN(len(c))
	}
	for _, whole := range c[:last] {
		f := slices.Clone(whole.data)
		move(f, i)
		for range 3 {
			if body := f[payload(f):]; len(body) > 0 {
				if b := &body[rng.IntN(len(body))]; *b >= 'a' && *b <= 'z' || i%8 == 0 {
					*b = 'a' + byte(rng.IntN(26))
				}
			}
		}
		wire := len(f)
		times := 1
		if i%5 == 2 {
			switch rng.IntN(8) {
			case 0:
				times = 0
			case 1:
				times = 2
			case 2:
				f = f[:payload(f)+rng.IntN(1+len(f)-payload(f))]
			}
		}
		for range times {
			*at += 20_000
			p.Packet(*at, packet.LinkEthernet, f, wire)
		}
	}
}

// TestParsersAreBounded has each parser read a great many hostile
// conversations, a million of them at night: what is held at the end is no more
// than at half of them.
func TestParsersAreBounded(t *testing.T) {
	n := uint32(40_000)
	if os.Getenv("RIND_NIGHTLY") != "" {
		n = 1_000_000
	} else if testing.Short() {
		n = 3000
	}
	const slack = 4 << 20 // streams that wait to be used again keep their memory
	for _, name := range Parsers() {
		for _, capt := range delivered[name].captures {
			t.Run(name+"/"+capt, func(t *testing.T) {
				c := delivered[name].trace(t, capt)
				c = c[:min(len(c), 40)]
				p := New(Config{MaxFlows: 2048, MaxStreams: 500, MaxHeld: 1 << 20, MaxRows: 500, MaxText: 256 << 10})
				rng, at := rand.New(rand.NewPCG(1, 2)), int64(1e18)
				var held [2]uint64
				for i := range n {
					c.hostile(p, rng, i, &at)
					if p.Due() || i%500 == 499 {
						if r := p.Cut(time.Unix(0, at)); !r.Interfaces[0].Balanced() {
							t.Fatalf("%+v", r.Interfaces[0])
						}
					}
					if conns, used := p.streams.Stats(); conns > 500 || used > 1<<20 {
						t.Fatalf("%d streams, %d bytes", conns, used)
					}
					if i == n/2 || i == n-1 {
						held[min(1, i/(n/2+1))] = heap()
					}
				}
				t.Logf("%d bytes are held at half, %d at the end", held[0], held[1])
				if held[1] > held[0]+slack {
					t.Errorf("%d bytes are held after %d conversations, %d after %d", held[0], n/2, held[1], n)
				}
				recognised := uint64(0)
				for _, k := range p.Counters().Parsers {
					if k.Panics > 0 {
						t.Errorf("%+v", k)
					}
					if k.Name == name {
						recognised += k.Recognised
					}
				}
				if recognised < uint64(n/4) {
					t.Errorf("%d flows were recognised: too few to show anything", recognised)
				}
			})
		}
	}
}

// heap is what is in use.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestRecognitionIsLinear asks of payloads of n, 2n and 4n bytes, each of which
// begins as the protocol does, what they are.
func TestRecognitionIsLinear(t *testing.T) {
	p := New(Config{MaxFlows: 16})
	for name, d := range delivered {
		for _, capt := range d.captures {
			var begin []byte
			for _, f := range d.trace(t, capt) {
				if at := payload(f.data); at < len(f.data) {
					begin = f.data[at:]
					break
				}
			}
			if len(begin) == 0 {
				t.Fatalf("nothing is said in %s", capt)
			}
			t.Run(name+"/"+capt, func(t *testing.T) {
				long := slices.Clone(begin)
				for len(long) < 16<<10 {
					long = append(long, begin...)
				}
				parsetest.Linear(t, 4<<10, func(n int) {
					for _, list := range []*recogniser{&p.tcp, &p.udp} {
						for side := range 2 {
							p.recognise(list, 9999, 9999, side, long[:n], 0)
						}
					}
				})
			})
		}
	}
}
