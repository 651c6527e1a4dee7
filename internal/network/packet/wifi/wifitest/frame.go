// Package wifitest makes 802.11 frames for tests: no radio is needed, and what
// stands in a frame is known.
package wifitest

import (
	"encoding/binary"
	"hash/crc32"

	"github.com/rind-project/rind/internal/network"
)

// Broadcast is the address of all stations.
var Broadcast = network.MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

// Types and subtypes of frames, as the first byte of a frame has them.
const (
	AssocReq    = 0x00
	AssocResp   = 0x10
	ReassocReq  = 0x20
	ReassocResp = 0x30
	ProbeReq    = 0x40
	ProbeResp   = 0x50
	BeaconFrame = 0x80
	Disassoc    = 0xa0
	Auth        = 0xb0
	Deauth      = 0xc0
	Action      = 0xd0
	BlockAck    = 0x94
	PSPoll      = 0xa4
	RTS         = 0xb4
	CTS         = 0xc4
	ACK         = 0xd4
	Data        = 0x08
	Null        = 0x48
	QoS         = 0x88
)

// Flags of the second byte.
const (
	ToDS      = 0x01
	FromDS    = 0x02
	MoreFrags = 0x04
	Retry     = 0x08
	Protected = 0x40
	Order     = 0x80
)

var le = binary.LittleEndian

// Frame makes a management or data frame.
func Frame(kind, flags byte, a1, a2, a3 network.MAC, seq uint16, body ...[]byte) []byte {
	b := []byte{kind, flags, 0, 0}
	b = append(append(append(b, a1[:]...), a2[:]...), a3[:]...)
	b = le.AppendUint16(b, seq)
	for _, p := range body {
		b = append(b, p...)
	}
	return b
}

// Control makes a control frame with one address, or two.
func Control(kind byte, to network.MAC, from ...network.MAC) []byte {
	b := append([]byte{kind, 0, 0, 0}, to[:]...)
	for _, f := range from {
		b = append(b, f[:]...)
	}
	return b
}

// Announce makes a beacon or a probe response.
func Announce(kind byte, to, bssid network.MAC, caps uint16, elements ...[]byte) []byte {
	fixed := append(make([]byte, 8), 100, 0)
	fixed = le.AppendUint16(fixed, caps)
	return Frame(kind, 0, to, bssid, bssid, 0, append([][]byte{fixed}, elements...)...)
}

// Beacon makes a beacon.
func Beacon(bssid network.MAC, caps uint16, elements ...[]byte) []byte {
	return Announce(BeaconFrame, Broadcast, bssid, caps, elements...)
}

// Element makes an element.
func Element(id byte, v ...byte) []byte { return append([]byte{id, byte(len(v))}, v...) }

// SSID makes an SSID element.
func SSID(s string) []byte { return Element(0, []byte(s)...) }

// Vendor makes a vendor-specific element: OUI and type, then its content.
func Vendor(ouiType uint32, v ...byte) []byte {
	return Element(221, append(binary.BigEndian.AppendUint32(nil, ouiType), v...)...)
}

// RSN makes an RSN element of suites of 00-0F-AC.
func RSN(group byte, ciphers, akms []byte, caps uint16) []byte {
	b := suites([]byte{1, 0}, 0x000fac, group, ciphers, akms)
	return Element(48, le.AppendUint16(b, caps)...)
}

// WPA makes the vendor element of WPA.
func WPA(group byte, ciphers, akms []byte) []byte {
	return Vendor(0x0050f201, suites([]byte{1, 0}, 0x0050f2, group, ciphers, akms)...)
}

func suites(b []byte, oui uint32, group byte, ciphers, akms []byte) []byte {
	be := binary.BigEndian
	b = be.AppendUint32(b, oui<<8|uint32(group))
	for _, list := range [][]byte{ciphers, akms} {
		b = le.AppendUint16(b, uint16(len(list)))
		for _, s := range list {
			b = be.AppendUint32(b, oui<<8|uint32(s))
		}
	}
	return b
}

// SNAP makes the content of a data frame.
func SNAP(etherType uint16, payload ...byte) []byte {
	return append(binary.BigEndian.AppendUint16([]byte{0xaa, 0xaa, 3, 0, 0, 0}, etherType), payload...)
}

// FCS appends the check sequence of a frame.
func FCS(frame []byte) []byte {
	return le.AppendUint32(append([]byte(nil), frame...), crc32.ChecksumIEEE(frame))
}

// Radiotap puts a radiotap header with flags, channel and signal before a
// frame.
func Radiotap(flags byte, freq uint16, signal int8, frame []byte) []byte {
	b := []byte{0, 0, 15, 0, 0x2a, 0, 0, 0, flags, 0}
	b = le.AppendUint16(b, freq)
	b = append(b, 0, 0, byte(signal))
	return append(b, frame...)
}

// Prism puts a Prism header with channel and signal before a frame, in a byte
// order.
func Prism(order binary.ByteOrder, channel uint32, signal int32, frame []byte) []byte {
	b := make([]byte, 24+2*12)
	order.PutUint32(b, 0x44)
	order.PutUint32(b[4:], uint32(len(b)))
	copy(b[8:], "wlan0")
	for i, item := range [][2]uint32{{0x30044, channel}, {0x60044, uint32(signal)}} {
		at := 24 + 12*i
		order.PutUint32(b[at:], item[0])
		order.PutUint16(b[at+6:], 4)
		order.PutUint32(b[at+8:], item[1])
	}
	return append(b, frame...)
}

// AVS puts an AVS header with channel and signal before a frame.
func AVS(channel uint32, signal int32, frame []byte) []byte {
	be := binary.BigEndian
	b := make([]byte, 64)
	be.PutUint32(b, 0x80211001)
	be.PutUint32(b[4:], 64)
	be.PutUint32(b[28:], channel)
	be.PutUint32(b[44:], 2)
	be.PutUint32(b[48:], uint32(signal))
	return append(b, frame...)
}
