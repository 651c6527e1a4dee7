// Package remoteid reads what unmanned aircraft broadcast of themselves: the
// messages of ASTM F3411-22a (Remote ID and Tracking), section 5.4.5, as Wi-Fi
// and Bluetooth carry them.
package remoteid

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"time"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/packet/parse"
)

// Sizes of messages.
const (
	MessageSize = 25
	MaxPack     = 9 // messages in a pack
	idSize      = 20
	textSize    = 23
)

// Types of messages.
const (
	typeBasic    = 0
	typeLocation = 1
	typeAuth     = 2
	typeSelf     = 3
	typeSystem   = 4
	typeOperator = 5
	typePack     = 15
)

// ErrMalformed says that the bytes are no message.
var ErrMalformed = errors.New("remoteid: not a message of ASTM F3411")

var le = binary.LittleEndian

// Aircraft is the latest that one aircraft said.
type Aircraft struct {
	ID       [idSize]byte
	IDType   uint8
	Type     uint8
	Status   uint8
	Located  bool
	Lat, Lon int32  // 1e-7 degrees
	Altitude int32  // geodetic, decimetres
	Height   int32  // decimetres
	Speed    uint32 // cm/s
	Track    uint16
	OperLat  int32
	OperLon  int32
	Operator [idSize]byte
	Text     [textSize]byte
}

// Take reads a message, or a pack of messages, into a. Bytes after it are
// left alone. n is the number of messages that were read.
func (a *Aircraft) Take(b []byte) (n int, err error) {
	if len(b) > 0 && b[0]>>4 == typePack {
		return a.pack(b)
	}
	if len(b) < MessageSize || !a.message((*[MessageSize]byte)(b)) {
		return 0, ErrMalformed
	}
	return 1, nil
}

func (a *Aircraft) pack(b []byte) (n int, err error) {
	if len(b) < 3 || b[1] != MessageSize || b[2] == 0 || b[2] > MaxPack || len(b) < 3+MessageSize*int(b[2]) {
		return 0, ErrMalformed
	}
	for i := range int(b[2]) {
		if a.message((*[MessageSize]byte)(b[3+MessageSize*i:])) {
			n++
		}
	}
	if n == 0 {
		return 0, ErrMalformed
	}
	return n, nil
}

func (a *Aircraft) message(m *[MessageSize]byte) bool {
	switch m[0] >> 4 {
	case typeBasic:
		a.basic(m)
	case typeLocation:
		a.location(m)
	case typeAuth: // a signature: there is nothing to show of it
	case typeSelf:
		a.Text = [textSize]byte(m[2:])
	case typeSystem:
		a.OperLat, a.OperLon = int32(le.Uint32(m[2:])), int32(le.Uint32(m[6:]))
	case typeOperator:
		a.Operator = [idSize]byte(m[2:])
	default:
		return false
	}
	return true
}

// basic keeps a serial number before the other ids that an aircraft may send
// as well.
func (a *Aircraft) basic(m *[MessageSize]byte) {
	a.Type = m[1] & 15
	if kind := m[1] >> 4; a.IDType != idSerial || kind == idSerial {
		a.IDType, a.ID = kind, [idSize]byte(m[2:])
	}
}

const (
	speedUnknown = 255
	trackLimit   = 360
)

func (a *Aircraft) location(m *[MessageSize]byte) {
	a.Located = true
	a.Status = m[1] >> 4
	a.Track = uint16(m[2])
	if m[1]&2 != 0 {
		a.Track += 180
	}
	if a.Track >= trackLimit {
		a.Track = 0 // 361 is unknown
	}
	switch raw := uint32(m[3]); {
	case m[1]&1 == 0 && raw != speedUnknown:
		a.Speed = raw * 25
	case m[1]&1 != 0 && raw != speedUnknown:
		a.Speed = raw*75 + 255*25
	default:
		a.Speed = 0
	}
	a.Lat, a.Lon = int32(le.Uint32(m[5:])), int32(le.Uint32(m[9:]))
	a.Altitude, a.Height = height(m[15:]), height(m[17:])
}

// height reads half metres above -1000 m; 0 is unknown.
func height(b []byte) int32 {
	raw := int32(le.Uint16(b))
	if raw == 0 {
		return 0
	}
	return raw*5 - 10000
}

const idSerial = 1

var (
	idTypes = [...]string{"", "serial", "registration", "utm", "session"}
	types   = [...]string{
		"", "aeroplane", "helicopter or multirotor", "gyroplane", "hybrid lift", "ornithopter", "glider", "kite",
		"free balloon", "captive balloon", "airship", "parachute", "rocket", "tethered", "ground obstacle", "other",
	}
	statuses = [...]string{"", "ground", "airborne", "emergency", "remote id failure"}
)

func pick(names []string, i uint8) string {
	if int(i) < len(names) {
		return names[i]
	}
	return "other"
}

// trim cuts off the zero bytes that fill a text.
func trim(b []byte) []byte {
	for i, c := range b {
		if c == 0 {
			return b[:i]
		}
	}
	return b
}

func (a *Aircraft) id(out *parse.Out) string {
	if a.IDType <= 2 {
		return out.Text(trim(a.ID[:]))
	}
	b := a.ID[:] // a UUID, or a session id: not text
	for len(b) > 0 && b[len(b)-1] == 0 {
		b = b[:len(b)-1]
	}
	return out.Intern(hex.AppendEncode(nil, b))
}

func (a *Aircraft) row(out *parse.Out) network.Drone {
	d := network.Drone{
		ID: a.id(out), IDType: pick(idTypes[:], a.IDType), Type: pick(types[:], a.Type),
		Latitude: a.Lat, Longitude: a.Lon, Altitude: a.Altitude, Height: a.Height, Speed: a.Speed, Track: a.Track,
		OperLat: a.OperLat, OperLong: a.OperLon, Operator: out.Text(trim(a.Operator[:])), Text: out.Text(trim(a.Text[:])),
	}
	if a.Located {
		d.Status = pick(statuses[:], a.Status)
	}
	return d
}

func at(ts int64) time.Time { return time.Unix(0, ts).UTC() }
