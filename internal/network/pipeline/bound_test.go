package pipeline

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"github.com/rind-project/rind/internal/network/packet"
	"github.com/rind-project/rind/internal/network/packet/packettest"
)

// TestFlowsThatNeverGoOn begins a great many connections that say the half of
// something: memory stays within its bounds, and one that comes later is read.
func TestFlowsThatNeverGoOn(t *testing.T) {
	t.Parallel()
	n := 1_000_000
	if testing.Short() {
		n = 20_000
	}
	k := newWords(Config{}, 443)
	k.p = New(Config{MaxFlows: 4096, MaxStreams: 2000, MaxHeld: 1 << 20})
	hello := packettest.ClientHello("late.example.net")
	half := packettest.Frame{Src: k.c, Dst: k.s, Proto: 6, Flags: packet.ACK, Payload: hello[:200]}.Bytes()
	reports := uint64(0)
	for i := range n {
		binary.BigEndian.PutUint32(half[14+12:], 10<<24|uint32(i/60000))
		binary.BigEndian.PutUint16(half[14+20:], uint16(1024+i%60000))
		k.at += 1e4
		k.p.Packet(k.at, packet.LinkEthernet, half, len(half))
		if conns, used := k.p.streams.Stats(); conns > 2000 || used > 1<<20 {
			t.Fatalf("%d streams, %d bytes", conns, used)
		}
		if k.p.Due() {
			if l := k.p.Cut(time.Unix(0, k.at)).Interfaces[0]; !l.Balanced() {
				t.Fatalf("%+v", l)
			}
			reports++
		}
	}
	k.p.Cut(time.Unix(0, k.at))
	k.frames = 0
	k.tcp(true, 0, hello[:100])
	k.tcp(true, 100, hello[100:])
	r := k.end(t)
	if c := k.parser("tls"); len(r.TLS) != 1 || c.Recognised != uint64(n)+1 || c.Pushed == 0 {
		t.Errorf("%d hellos, %+v, %d reports", len(r.TLS), c, reports)
	}
}

// TestNoAllocationsOfStreams sends segments of connections that are followed:
// a body that is passed over, one that its parser reads, and one of nobody's.
func TestNoAllocationsOfStreams(t *testing.T) {
	k := newTalk(Config{}, 80)
	k.tcp(true, 0, []byte("GET /a HTTP/1.1\r\nHost: h\r\n\r\n"))
	head := []byte("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
	k.tcp(false, 0, head)
	k.tcp(true, 28, nil)
	frame := func(port uint16, payload []byte) ([]byte, *uint32) {
		seq := new(uint32)
		return packettest.Frame{Src: netip.AddrPortFrom(k.s.Addr(), port), Dst: k.c, Proto: 6, Flags: packet.ACK, Payload: payload}.Bytes(), seq
	}
	body, bodySeq := frame(80, make([]byte, 1400))
	*bodySeq = uint32(len(head))
	mystery, mysterySeq := frame(9999, make([]byte, 1400))
	smtp, smtpSeq := frame(25, bytes.Repeat([]byte("250 fine\r\n"), 100))
	frames, seqs := [][]byte{body, mystery, smtp}, []*uint32{bodySeq, mysterySeq, smtpSeq}
	send := func() {
		for i, b := range frames {
			binary.BigEndian.PutUint32(b[14+20+4:], *seqs[i])
			*seqs[i] += uint32(len(b) - 54)
			k.at += 1e6
			k.p.Packet(k.at, packet.LinkEthernet, b, len(b))
		}
	}
	banner, bannerSeq := frame(25, []byte("220 mail ESMTP\r\n"))
	frames, seqs = append(frames, banner), append(seqs, bannerSeq)
	*bannerSeq -= uint32(len(banner) - 54)
	send()
	frames, seqs = frames[:3], seqs[:3]
	for range 20 {
		send()
	}
	if n := testing.AllocsPerRun(200, send); n > 0.05 {
		t.Errorf("%v allocations", n)
	}
	if n, _ := k.p.streams.Stats(); n == 0 {
		t.Error("no connection is followed")
	}
}
