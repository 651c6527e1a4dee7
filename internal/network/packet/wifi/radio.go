package wifi

import (
	"encoding/binary"
	"hash/crc32"

	"github.com/rind-project/rind/internal/network/packet"
)

// LinkAVS is the link type of 802.11 with an AVS capture header
// (LINKTYPE_IEEE802_11_AVS).
const LinkAVS packet.LinkType = 163

var (
	be = binary.BigEndian
	le = binary.LittleEndian
)

// presence of what a capture header can say, or not.
const (
	unknown uint8 = iota
	yes
	no
)

// radio is what a capture header says of the frame behind it.
type radio struct {
	length  int    // of the header
	freq    uint16 // MHz, 0 when not told
	signal  int8   // dBm, 0 when not told
	fcs     uint8  // whether the frame ends with its FCS
	bad     bool   // the receiver says that the FCS does not fit
	padded  bool   // the MAC header is padded to 4 bytes
	noFrame bool   // a radio event without a frame (radiotap: 0-length PSDU)
}

// header reads the capture header of a link type. ok is false when it is not
// there whole, or says of itself what cannot be.
func (r *radio) header(link packet.LinkType, b []byte) (ok bool) {
	*r = radio{}
	switch link {
	case packet.LinkIEEE80211:
		return true
	case packet.LinkRadiotap:
		return r.radiotap(b)
	case LinkAVS:
		return r.avs(b)
	case packet.LinkPrism:
		if len(b) >= 4 && be.Uint32(b)&^0xfff == avsMagic {
			return r.avs(b) // drivers change to AVS under the same link type
		}
		return r.prism(b)
	}
	return false
}

const (
	avsMagic = 0x80211000
	avsSize  = 64
)

// avs reads an AVS capture header (the AVS capture format, version 2.1).
func (r *radio) avs(b []byte) bool {
	if len(b) < avsSize || be.Uint32(b)&^0xfff != avsMagic {
		return false
	}
	n := be.Uint32(b[4:])
	if n < avsSize || n > uint32(len(b)) {
		return false
	}
	r.length = int(n)
	if c := be.Uint32(b[28:]); c > 255 && c < 65536 {
		r.freq = uint16(c)
	} else if c <= 255 {
		r.freq = frequency(uint8(c))
	}
	if be.Uint32(b[44:]) == 2 { // the signal is in dBm
		r.dBm(int32(be.Uint32(b[48:])))
	}
	return true
}

const (
	prismHead = 24 // message code, length, name of the device
	prismItem = 12
	maxPrism  = 64 // items that are looked at
)

// prism reads a Prism monitor header, in the byte order of the host that
// captured (the p80211 and the wlan-ng numbering of items).
func (r *radio) prism(b []byte) bool {
	if len(b) < prismHead {
		return false
	}
	var order binary.ByteOrder = le
	if order.Uint32(b) > 0xffff {
		order = be
	}
	n := order.Uint32(b[4:])
	if n < prismHead || n > uint32(len(b)) {
		return false
	}
	r.length = int(n)
	items := b[prismHead:n]
	for i := 0; i < maxPrism && len(items) >= prismItem; i++ {
		r.prismItem(order, items[:prismItem])
		items = items[prismItem:]
	}
	return true
}

func (r *radio) prismItem(order binary.ByteOrder, b []byte) {
	if order.Uint16(b[4:]) != 0 { // not supplied
		return
	}
	v := order.Uint32(b[8:])
	switch order.Uint32(b) {
	case 0x3041, 0x30044: // channel
		if v <= 255 {
			r.freq = frequency(uint8(v))
		}
	case 0x6041, 0x60044: // signal
		r.dBm(int32(v))
	}
}

// dBm keeps a signal that can be one.
func (r *radio) dBm(v int32) {
	if v < 0 && v >= -128 {
		r.signal = int8(v)
	}
}

// frequency is that of a channel at 2.4 and 5 GHz; 0 when there is none.
func frequency(channel uint8) uint16 {
	switch {
	case channel == 14:
		return 2484
	case channel >= 1 && channel <= 13:
		return 2407 + 5*uint16(channel)
	case channel >= 32 && channel <= 177:
		return 5000 + 5*uint16(channel)
	}
	return 0
}

// fcsFits reports whether the last four bytes of a frame are the check
// sequence of those before (IEEE 802.11-2020, 9.2.4.8).
func fcsFits(b []byte) bool {
	n := len(b) - 4
	return n >= 0 && crc32.ChecksumIEEE(b[:n]) == le.Uint32(b[n:])
}
