package capture

import (
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/rind-project/rind/internal/network/packet"
)

type kept struct {
	data []string
	wire []int
}

// Packet implements Handler.
func (k *kept) Packet(_ int64, _ packet.LinkType, data []byte, wire int) {
	k.data, k.wire = append(k.data, string(data)), append(k.wire, wire)
}

// ringBlock is a block as the kernel leaves it, with one frame.
func ringBlock(frame string, change func(*unix.Tpacket3Hdr, *unix.TpacketHdrV1)) ([]byte, *unix.TpacketHdrV1) {
	block := make([]byte, 4096)
	hdr := (*unix.TpacketHdrV1)(unsafe.Pointer(&(*unix.TpacketBlockDesc)(unsafe.Pointer(&block[0])).Hdr[0]))
	hdr.Num_pkts, hdr.Offset_to_first_pkt = 1, 48
	f := (*unix.Tpacket3Hdr)(unsafe.Pointer(&block[48]))
	f.Mac, f.Snaplen, f.Len = 100, uint32(len(frame)), uint32(len(frame))
	change(f, hdr)
	copy(block[148:], frame)
	return block, hdr
}

func TestTagIsRestored(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status uint32
		tpid   uint16
		want   string
	}{
		"none":    {0, 0x8100, "ddddddssssss\x08\x00payload"},
		"802.1Q":  {unix.TP_STATUS_VLAN_VALID, 0, "ddddddssssss\x81\x00\x60\x07\x08\x00payload"},
		"802.1ad": {unix.TP_STATUS_VLAN_VALID | unix.TP_STATUS_VLAN_TPID_VALID, 0x88a8, "ddddddssssss\x88\xa8\x60\x07\x08\x00payload"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			block, hdr := ringBlock("ddddddssssss\x08\x00payload", func(f *unix.Tpacket3Hdr, _ *unix.TpacketHdrV1) {
				f.Status, f.Hv1.Vlan_tci, f.Hv1.Vlan_tpid = c.status, 0x6007, c.tpid
			})
			var k kept
			l := &Live{link: packet.LinkEthernet}
			if n := l.frames(&k, block, hdr); n != 1 || k.data[0] != c.want || k.wire[0] != len(c.want) {
				t.Errorf("%d frames: %q, %v", n, k.data, k.wire)
			}
		})
	}
}

func TestWrongOffsetsAreRefused(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*unix.Tpacket3Hdr, *unix.TpacketHdrV1){
		"first frame past the block": func(_ *unix.Tpacket3Hdr, h *unix.TpacketHdrV1) { h.Offset_to_first_pkt = 4090 },
		"data before the header":     func(f *unix.Tpacket3Hdr, _ *unix.TpacketHdrV1) { f.Mac = 8 },
		"data past the block":        func(f *unix.Tpacket3Hdr, _ *unix.TpacketHdrV1) { f.Snaplen = 5000 },
		"data far past the block":    func(f *unix.Tpacket3Hdr, _ *unix.TpacketHdrV1) { f.Snaplen = 1<<32 - 1 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			block, hdr := ringBlock("x", change)
			var k kept
			if n := (&Live{}).frames(&k, block, hdr); n != 0 || k.data != nil {
				t.Errorf("%d frames: %q", n, k.data)
			}
		})
	}
}
