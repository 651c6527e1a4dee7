package pipeline

import (
	"bytes"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/rind-project/rind/internal/network/capture"
	"github.com/rind-project/rind/internal/network/flow"
	"github.com/rind-project/rind/internal/network/packet"
	"github.com/rind-project/rind/internal/network/packet/packettest"
	"github.com/rind-project/rind/internal/network/packet/parse"
)

// TestPanicInParser has the parser panic in a segment, in a datagram and at
// the end of streams: each costs one flow, and the packets are kept.
func TestPanicInParser(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	q, err := OpenQuarantine(dir, 1000)
	if err != nil {
		t.Fatal(err)
	}
	k := newWords(Config{Quarantine: q}, 9999)
	for i := range 30 {
		src := netip.AddrPortFrom(k.c.Addr(), uint16(1024+i))
		for _, line := range []string{"hello\n", "panic\n", "more\n"} {
			k.frame(packettest.Frame{Src: src, Dst: k.s, Proto: 17, Payload: []byte(line[:len(line)-1])})
			k.frame(packettest.Frame{Src: src, Dst: k.s, Proto: 6, Flags: packet.ACK, Seq: uint32(6 * (len(line) + int(line[0])) % 7), Payload: []byte(line)})
		}
	}
	for i := range 10 {
		k.frame(packettest.Frame{Src: netip.AddrPortFrom(k.c.Addr(), uint16(5000+i)), Dst: k.s, Proto: 6, Flags: packet.ACK, Payload: []byte("hello\npanic\n")})
	}
	r := k.end(t)
	l, inFlows := r.Interfaces[0], uint64(0)
	for _, f := range r.Flows {
		inFlows += f.SrcPkts + f.DstPkts
	}
	c := k.parser("words")
	if c.Panics < 40 || l.Malformed != c.Panics || k.p.Counters().Panicked != c.Panics || inFlows != l.Summarised {
		t.Errorf("%+v, %d packets in flows, %+v", l, inFlows, c)
	}
	files, _ := filepath.Glob(filepath.Join(dir, "words-*"+quarantineSuffix))
	kept, refused := q.Counts()
	if len(files) == 0 || uint64(len(files)) != kept || kept+refused != c.Panics || refused == 0 {
		t.Fatalf("%d files, %d kept, %d refused", len(files), kept, refused)
	}
	size := int64(0)
	for _, name := range files {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		size += info.Size()
	}
	if size > 1000 {
		t.Errorf("%d bytes are kept", size)
	}
	if again, err := OpenQuarantine(dir, 1000); err != nil || again.used != size {
		t.Errorf("a folder of %d bytes is taken as one of %d: %v", size, again.used, err)
	}
	f, err := capture.OpenFile(t.Context(), files[0], capture.FileOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var last packetKeeper
	if n, err := f.Read(&last, 0); n != 1 && err != nil || !bytes.Contains(last.data, []byte("panic")) {
		t.Errorf("%d packets, %v: %q", n, err, last.data)
	}
}

type packetKeeper struct{ data []byte }

func (k *packetKeeper) Packet(_ int64, _ packet.LinkType, data []byte, _ int) {
	k.data = bytes.Clone(data)
}

// mourner panics when its stream ends.
type mourner struct{ words }

func (*mourner) End(*parse.Out) { panic("a defect at the end") }

// TestPanicAtTheEnd: streams end in the middle of other work, which goes on.
func TestPanicAtTheEnd(t *testing.T) {
	t.Parallel()
	k := newTalk(Config{}, 9999)
	k.p = newPipeline(Config{MaxFlows: 1024, MaxStreams: 10}, []protocol{
		{name: "words", app: flow.AppTelnet, looks: prefix("hello"), stream: func() parse.Stream { return &mourner{} }},
	}, nil)
	for i := range 30 {
		k.frame(packettest.Frame{Src: netip.AddrPortFrom(k.c.Addr(), uint16(5000+i)), Dst: k.s, Proto: 6, Flags: packet.ACK, Payload: []byte("hello\n")})
	}
	r := k.end(t)
	if c := k.parser("words"); len(r.Telnet) != 30 || c.Panics != 30 || c.Pushed != 20 || r.Interfaces[0].Malformed != 0 {
		t.Errorf("%d rows, %+v, %+v", len(r.Telnet), c, r.Interfaces[0])
	}
}
