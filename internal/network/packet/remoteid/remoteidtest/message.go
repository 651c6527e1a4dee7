// Package remoteidtest makes messages of ASTM F3411-22a for tests.
package remoteidtest

import "encoding/binary"

var le = binary.LittleEndian

// Basic makes a Basic ID message.
func Basic(idType, aircraft byte, id string) []byte {
	b := make([]byte, 25)
	b[0], b[1] = 0x02, idType<<4|aircraft
	copy(b[2:22], id)
	return b
}

// Location makes a Location message: airborne, 52.5 N 13.4 W, 120 m high, 60 m
// above the take-off, at 12.5 m/s towards 270 degrees.
func Location() []byte {
	b := make([]byte, 25)
	b[0], b[1], b[2], b[3] = 0x12, 2<<4|2, 90, 50
	lat, lon := int32(525000000), int32(-134000000)
	le.PutUint32(b[5:], uint32(lat))
	le.PutUint32(b[9:], uint32(lon))
	le.PutUint16(b[15:], (120+1000)*2)
	le.PutUint16(b[17:], (60+1000)*2)
	return b
}

// Self makes a Self-ID message.
func Self(text string) []byte {
	b := make([]byte, 25)
	b[0] = 0x32
	copy(b[2:], text)
	return b
}

// System makes a System message with the operator at 52.4 N 13.3 W.
func System() []byte {
	b := make([]byte, 25)
	b[0] = 0x42
	lat, lon := int32(524000000), int32(-133000000)
	le.PutUint32(b[2:], uint32(lat))
	le.PutUint32(b[6:], uint32(lon))
	return b
}

// Operator makes an Operator ID message.
func Operator(id string) []byte {
	b := make([]byte, 25)
	b[0] = 0x52
	copy(b[2:22], id)
	return b
}

// Pack makes a message pack with one message of each kind.
func Pack() []byte {
	b := []byte{0xf2, 25, 5}
	for _, m := range [][]byte{Basic(1, 2, "1581F4AB"), Location(), Self("survey"), System(), Operator("DEU12abc")} {
		b = append(b, m...)
	}
	return b
}

// NAN makes the body of a service discovery frame with a pack.
func NAN(pack []byte) []byte {
	info := append([]byte{byte(len(pack) + 1), 7}, pack...)
	attr := append([]byte{0x88, 0x69, 0x19, 0x9d, 0x92, 0x09, 1, 0, 0x10}, info...)
	b := []byte{4, 9, 0x50, 0x6f, 0x9a, 0x13, 3}
	return append(le.AppendUint16(b, uint16(len(attr))), attr...)
}
