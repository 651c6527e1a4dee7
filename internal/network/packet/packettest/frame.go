// Package packettest makes frames for tests: single ones from a description,
// and a reproducible mix of traffic. Only tests import it.
package packettest

import (
	"encoding/binary"
	"net/netip"
)

var be = binary.BigEndian

// Frame describes an Ethernet frame with an IP packet. Addresses decide
// between IPv4 and IPv6.
type Frame struct {
	VLANs    []uint16 // outermost first
	Src, Dst netip.AddrPort
	Proto    uint8 // 1 and 58 take type and code from the ports
	Flags    uint8 // TCP
	Seq, Ack uint32
	Payload  []byte
	ID       uint16 // IPv4
}

// Bytes returns the frame with right lengths and IPv4 header checksum.
func (f Frame) Bytes() []byte {
	b := []byte{2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1}
	for i, id := range f.VLANs {
		tpid := uint16(0x8100)
		if i < len(f.VLANs)-1 {
			tpid = 0x88a8
		}
		b = be.AppendUint16(be.AppendUint16(b, tpid), id)
	}
	body := append(f.transport(), f.Payload...)
	if f.Src.Addr().Is4() {
		b = be.AppendUint16(b, 0x0800)
		b = append(b, f.ipv4(len(body))...)
	} else {
		b = be.AppendUint16(b, 0x86dd)
		b = append(b, f.ipv6(len(body))...)
	}
	return append(b, body...)
}

func (f Frame) ipv4(n int) []byte {
	h := make([]byte, 20)
	h[0], h[8], h[9] = 0x45, 64, f.Proto
	be.PutUint16(h[2:], uint16(20+n))
	be.PutUint16(h[4:], f.ID)
	src, dst := f.Src.Addr().As4(), f.Dst.Addr().As4()
	copy(h[12:], src[:])
	copy(h[16:], dst[:])
	sum := uint32(0)
	for i := 0; i < 20; i += 2 {
		sum += uint32(be.Uint16(h[i:]))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	be.PutUint16(h[10:], ^uint16(sum))
	return h
}

func (f Frame) ipv6(n int) []byte {
	h := make([]byte, 40)
	h[0], h[6], h[7] = 0x60, f.Proto, 64
	be.PutUint16(h[4:], uint16(n))
	src, dst := f.Src.Addr().As16(), f.Dst.Addr().As16()
	copy(h[8:], src[:])
	copy(h[24:], dst[:])
	return h
}

func (f Frame) transport() []byte {
	switch f.Proto {
	case 6:
		h := make([]byte, 20)
		be.PutUint16(h, f.Src.Port())
		be.PutUint16(h[2:], f.Dst.Port())
		be.PutUint32(h[4:], f.Seq)
		be.PutUint32(h[8:], f.Ack)
		h[12], h[13] = 5<<4, f.Flags
		be.PutUint16(h[14:], 65535)
		return h
	case 17:
		h := make([]byte, 8)
		be.PutUint16(h, f.Src.Port())
		be.PutUint16(h[2:], f.Dst.Port())
		be.PutUint16(h[4:], uint16(8+len(f.Payload)))
		return h
	case 1, 58:
		return []byte{byte(f.Src.Port()), byte(f.Dst.Port()), 0, 0, 0, 1, 0, 1}
	}
	return nil
}
