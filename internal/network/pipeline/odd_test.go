package pipeline

import (
	"encoding/binary"
	"encoding/json"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rind-project/rind/internal/network/packet"
	"github.com/rind-project/rind/internal/network/packet/packettest"
)

var be = binary.BigEndian

// ipFrame is an untagged Ethernet frame with an IP packet, taken apart.
type ipFrame struct {
	at    int64
	head  []byte // Ethernet, IP and transport
	body  []byte
	proto byte
	v6    bool
}

// apart takes the frames apart that carry whole IP packets; the others of a
// capture are left out.
func (c trace) apart() (all []ipFrame) {
	for _, s := range c {
		f := ipFrame{at: s.at, v6: s.data[12] == 0x86 && s.data[13] == 0xdd}
		end := 0
		switch {
		case f.v6:
			f.proto, end = s.data[20], 54+int(be.Uint16(s.data[18:]))
		case s.data[12] == 8 && s.data[13] == 0:
			f.proto, end = s.data[23], 14+int(be.Uint16(s.data[16:]))
		}
		if end == 0 || end > len(s.data) { // another protocol, or joined by the card
			continue
		}
		data := s.data[:end]
		f.head, f.body = data[:payload(data)], data[payload(data):]
		all = append(all, f)
	}
	return all
}

// with is the frame with another payload; of TCP, one that begins so many
// bytes later.
func (f ipFrame) with(body []byte, later int, last bool) stamped {
	b := append(slices.Clone(f.head), body...)
	if f.v6 {
		be.PutUint16(b[18:], uint16(len(b)-54))
	} else {
		be.PutUint16(b[16:], uint16(len(b)-14))
	}
	switch f.proto {
	case 6:
		tcp := b[34:]
		if f.v6 {
			tcp = b[54:]
		}
		be.PutUint32(tcp[4:], be.Uint32(tcp[4:])+uint32(later))
		if !last {
			tcp[13] &^= packet.FIN
		}
	case 17:
		be.PutUint16(b[len(f.head)-4:], uint16(8+len(body)))
	}
	return stamped{f.at, b}
}

// flags are those of a TCP segment.
func (f ipFrame) flags() uint8 {
	if f.v6 {
		return f.head[54+13]
	}
	return f.head[34+13]
}

// pieces cuts a TCP segment into segments; what is none stays whole.
func (f ipFrame) pieces(size int) (all []stamped) {
	if f.proto != 6 || len(f.body) <= size {
		return []stamped{f.with(f.body, 0, true)}
	}
	for at := 0; at < len(f.body); at += size {
		end := min(at+size, len(f.body))
		all = append(all, f.with(f.body[at:end], at, end == len(f.body)))
	}
	return all
}

// carried puts what follows the Ethernet header behind another one.
func (f ipFrame) carried(head []byte, more func(inner []byte) []byte) stamped {
	whole := f.with(f.body, 0, true).data
	b := append(slices.Clone(whole[:12]), head...)
	return stamped{f.at, append(b, more(whole)...)}
}

// backwards is the oddity that makes flows without ports: of fragments that
// come before the first of their datagram (docs/ledger.md).
const backwards = "in IP fragments, the last one first"

// oddities are what may become of a frame on its way: none changes what is
// said.
var oddities = map[string]func(f ipFrame, i int, rng *rand.Rand) []stamped{
	"segments of one byte": func(f ipFrame, _ int, _ *rand.Rand) []stamped { return f.pieces(1) },
	"out of order": func(f ipFrame, _ int, rng *rand.Rand) []stamped {
		all := f.pieces(len(f.body)/8 + 1)
		if len(all) > 1 {
			rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		}
		return all
	},
	"sent again with other content": func(f ipFrame, _ int, _ *rand.Rand) []stamped {
		all := f.pieces(100)
		if f.proto != 6 || len(f.body) == 0 {
			return all
		}
		lie := slices.Repeat([]byte("X"), len(f.body))
		return append(append(all, f.with(lie, 0, false)), f.with(lie[:len(lie)/2+1], 0, false))
	},
	"overlapping what was said": func(f ipFrame, _ int, _ *rand.Rand) []stamped {
		all := f.pieces(50)
		if f.proto != 6 {
			return all
		}
		for i := 1; i < len(all); i++ { // each begins ten bytes early, with other content
			from := i * 50
			body := append(slices.Repeat([]byte{0}, 10), f.body[from:min(from+50, len(f.body))]...)
			all[i] = f.with(body, from-10, i == len(all)-1)
		}
		return all
	},
	"without its handshake": func(f ipFrame, _ int, _ *rand.Rand) []stamped {
		if f.proto == 6 && f.flags()&packet.SYN != 0 {
			return nil
		}
		return f.pieces(len(f.body))
	},
	"with probes between": func(f ipFrame, _ int, _ *rand.Rand) []stamped {
		if f.proto != 6 || f.flags()&(packet.SYN|packet.RST) != 0 {
			return []stamped{f.with(f.body, 0, true)}
		}
		return []stamped{f.with([]byte{0}, -1, false), f.with(f.body, 0, true)} // RFC 9293 section 3.8.4
	},
	"padded": func(f ipFrame, _ int, _ *rand.Rand) []stamped {
		s := f.with(f.body, 0, true)
		s.data = append(s.data, "what the card had in its memory, up to the least length of a frame"...)
		return []stamped{s}
	},
	"behind IP options": func(f ipFrame, _ int, _ *rand.Rand) []stamped {
		b := f.with(f.body, 0, true).data
		if f.v6 { // hop-by-hop and destination options (RFC 8200 section 4)
			more := []byte{60, 0, 1, 4, 0, 0, 0, 0, f.proto, 1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
			b = slices.Insert(b, 54, more...)
			b[20] = 0
			be.PutUint16(b[18:], uint16(len(b)-54))
		} else if b[14] == 0x45 {
			b = slices.Insert(b, 34, 0x44, 8, 5, 0, 0, 0, 0, 0, 1, 1, 1, 0) // a timestamp (RFC 791)
			b[14] = 0x48
			be.PutUint16(b[16:], uint16(len(b)-14))
		}
		return []stamped{{f.at, b}}
	},
	"in IP fragments": oddFragments,
	backwards: func(f ipFrame, i int, rng *rand.Rand) []stamped {
		all := oddFragments(f, i, rng)
		slices.Reverse(all)
		return all
	},
	"behind two tags": func(f ipFrame, _ int, _ *rand.Rand) []stamped {
		return []stamped{f.carried([]byte{0x88, 0xa8, 0, 5, 0x81, 0, 0, 6}, func(b []byte) []byte { return b[12:] })}
	},
	"in PPPoE behind two tags": func(f ipFrame, _ int, _ *rand.Rand) []stamped {
		return []stamped{f.carried([]byte{0x88, 0xa8, 0, 5, 0x81, 0, 0, 6, 0x88, 0x64}, func(b []byte) []byte {
			typ := byte(0x21)
			if f.v6 {
				typ = 0x57
			}
			h := be.AppendUint16([]byte{0x11, 0, 0, 9}, uint16(2+len(b)-14))
			return append(append(h, 0, typ), b[14:]...)
		})}
	},
	"in VXLAN in GRE": func(f ipFrame, _ int, _ *rand.Rand) []stamped {
		return []stamped{f.carried(nil, func(b []byte) []byte {
			inner := append([]byte{8, 0, 0, 0, 0, 0, 77, 0}, b...)
			inner = ipv4(17, be.AppendUint16(be.AppendUint16(be.AppendUint16(be.AppendUint16(nil, 5555), 4789), uint16(8+len(inner))), 0), inner)
			return append([]byte{8, 0}, ipv4(47, []byte{0, 0, 8, 0}, inner)...)
		})}
	},
	"in Geneve over MPLS": func(f ipFrame, _ int, _ *rand.Rand) []stamped {
		return []stamped{f.carried([]byte{0x88, 0x47, 0, 1, 0x10, 64, 0, 2, 0x21, 64}, func(b []byte) []byte {
			inner := append([]byte{0, 0, 0x65, 0x58, 0, 0, 8, 0}, b...)
			return ipv4(17, be.AppendUint16(be.AppendUint16(be.AppendUint16(be.AppendUint16(nil, 5555), 6081), uint16(8+len(inner))), 0), inner)
		})}
	},
}

// oddFragments cuts every packet into fragments of 64 bytes.
func oddFragments(f ipFrame, i int, _ *rand.Rand) []stamped {
	var all []stamped
	whole := f.with(f.body, 0, true).data
	if !f.v6 && whole[14] != 0x45 {
		return []stamped{{f.at, whole}}
	}
	for _, b := range packettest.Fragments(whole, 64, uint32(i+1)) {
		all = append(all, stamped{f.at, b})
	}
	return all
}

// ipv4 is a packet from 203.0.113.1 to 203.0.113.2.
func ipv4(proto byte, head, body []byte) []byte {
	h := []byte{0x45, 0, 0, 0, 0, 0, 0, 0, 64, proto, 0, 0, 203, 0, 113, 1, 203, 0, 113, 2}
	be.PutUint16(h[2:], uint16(20+len(head)+len(body)))
	return append(append(h, head...), body...)
}

// read puts frames through a pipeline, and returns its rows, by kind and in
// order, and the flows' applications. The VLAN is left out.
func (c trace) read(t *testing.T) (rows []string, apps map[string]int) {
	t.Helper()
	p := New(Config{MaxFlows: 4096})
	at := int64(0)
	for _, s := range c {
		p.Packet(s.at, packet.LinkEthernet, s.data, len(s.data))
		at = max(at, s.at)
	}
	r := p.Finish(time.Unix(0, at))
	if l := r.Interfaces[0]; !l.Balanced() || l.Received != uint64(len(c)) || l.Malformed != 0 {
		t.Errorf("%d frames, ledger %+v, %v", len(c), l, p.Counters().Malformed)
	}
	apps = map[string]int{}
	for i := range r.Flows {
		apps[r.Flows[i].App]++
	}
	b, err := json.Marshal([]any{r.Records, map[string]any{"dns": r.DNS}, map[string]any{"tls": r.TLS}})
	if err != nil {
		t.Fatal(err)
	}
	var lists []map[string][]map[string]any
	if err := json.Unmarshal(b, &lists); err != nil {
		t.Fatal(err)
	}
	for _, list := range lists {
		for kind, all := range list {
			for _, row := range all {
				delete(row, "vlan")
				text, _ := json.Marshal(row)
				rows = append(rows, kind+" "+string(text))
			}
		}
	}
	slices.Sort(rows)
	return rows, apps
}

// TestOddTraffic: however what a program said is cut, tagged, tunnelled,
// fragmented, mixed up, or contradicted afterwards, the rows are the same.
func TestOddTraffic(t *testing.T) {
	t.Parallel()
	for name, d := range delivered {
		for _, capt := range d.captures {
			frames := d.trace(t, capt).apart()
			if len(frames) == 0 { // of no IP
				continue
			}
			var plain trace
			for _, f := range frames {
				plain = append(plain, f.with(f.body, 0, true))
			}
			want, wantApps := plain.read(t)
			if len(want) == 0 && d.kind != "" {
				t.Fatalf("%s/%s: no rows", name, capt)
			}
			for oddity, change := range oddities {
				t.Run(name+"/"+capt+"/"+oddity, func(t *testing.T) {
					t.Parallel()
					rng := rand.New(rand.NewPCG(7, 7))
					var odd trace
					for i, f := range frames {
						odd = append(odd, change(f, i, rng)...)
					}
					got, apps := odd.read(t)
					if diff := cmp.Diff(want, got); diff != "" {
						t.Errorf("other rows (-whole +odd):\n%s", diff)
					}
					if oddity != backwards && !maps.Equal(wantApps, apps) {
						t.Errorf("flows are %v, want %v", apps, wantApps)
					}
				})
			}
		}
	}
}
