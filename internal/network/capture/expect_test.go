package capture_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"testing"

	"github.com/rind-project/rind/internal/network/capture"
	"github.com/rind-project/rind/internal/network/packet"
	"github.com/rind-project/rind/internal/network/packet/packettest"
)

// foreteller checks that what it was shown is what comes.
type foreteller struct {
	t              *testing.T
	shown          [][]byte
	packets, known int
}

// Expect implements capture.Expecter.
func (f *foreteller) Expect(link packet.LinkType, frames [][]byte) {
	if link != packet.LinkEthernet || len(f.shown) > 0 {
		f.t.Errorf("link %d; %d frames were shown and did not come", link, len(f.shown))
	}
	f.shown = nil
	for _, b := range frames {
		f.shown = append(f.shown, bytes.Clone(b))
	}
}

// Packet implements capture.Handler.
func (f *foreteller) Packet(_ int64, _ packet.LinkType, data []byte, _ int) {
	f.packets++
	if len(f.shown) == 0 {
		return
	}
	if !bytes.Equal(f.shown[0], data) {
		f.t.Fatalf("packet %d is not the one that was shown", f.packets)
	}
	f.shown = f.shown[1:]
	f.known++
}

func TestFramesShownAheadCome(t *testing.T) {
	t.Parallel()
	le := binary.LittleEndian
	file := le.AppendUint32(nil, 0xa1b2c3d4)
	for _, v := range []uint32{2 | 4<<16, 0, 0, 65535, 1} {
		file = le.AppendUint32(file, v)
	}
	mix := packettest.Mix(9, 5000)
	for _, f := range mix {
		n := uint32(len(f.Data))
		for _, v := range []uint32{uint32(f.Time / 1e9), 0, n, n} {
			file = le.AppendUint32(file, v)
		}
		file = append(file, f.Data...)
	}
	for _, cut := range []int{0, 7} { // a damaged end is not shown
		f, err := capture.NewFile(bytes.NewReader(file[:len(file)-cut]), "mix", capture.FileOptions{})
		if err != nil {
			t.Fatal(err)
		}
		h := &foreteller{t: t}
		for err == nil {
			_, err = f.Read(h, 0)
		}
		if (cut == 0) != errors.Is(err, io.EOF) || h.packets < len(mix)-1 || h.known < h.packets*3/4 || len(h.shown) > 0 {
			t.Errorf("%v: %d packets, %d of them shown ahead, %d shown and missing", err, h.packets, h.known, len(h.shown))
		}
	}
}
