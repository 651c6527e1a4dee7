package wifi

// Element ids (IEEE 802.11-2020, 9.4.2.1).
const (
	elSSID       = 0
	elRates      = 1
	elDS         = 3
	elTIM        = 5
	elBSSLoad    = 11
	elHTCaps     = 45
	elRSN        = 48
	elExtRates   = 50
	elHTOp       = 61
	elExtCaps    = 127
	elVHTCaps    = 191
	elVendor     = 221
	elPwnagotchi = 222 // its own use of a reserved id
	elExtended   = 255

	extHECaps = 35
	extHEOp   = 36
	extEHT    = 108
)

const (
	maxSSID   = 32
	maxRates  = 16
	maxPwn    = 4096
	ouiMSFT   = 0x0050f2
	ouiWFA    = 0x506f9a
	ouiIEEE   = 0x000fac
	ouiASDSTN = 0xfa0bbc // ASTM F3411
)

// name is an SSID.
type name struct {
	n uint8
	b [maxSSID]byte
}

func (n *name) bytes() []byte { return n.b[:n.n] }

// hidden reports whether it tells nothing: no bytes, or only zeros, which
// stand for a name of that length.
func (n *name) hidden() bool { return *n == name{n: n.n} }

func makeName(b []byte) (n name) {
	n.n = uint8(copy(n.b[:], b))
	return n
}

// elements is what a management frame says in its elements, all in fixed
// room.
type elements struct {
	ssid     name
	hasSSID  bool
	channel  uint8
	htChan   uint8
	heChan   uint8
	numRates uint8
	rates    [maxRates]uint8
	rsn, wpa suites
	owe      bool // the transition element of an open network
	wps      wps
	hash     uint64
	bad      bool

	// Parts of the frame, and of the parser's own buffer, only until the next.
	rid []byte
	pwn []byte
}

// parse reads elements; cut says that the capture did not keep all of them.
func (e *elements) parse(b []byte, cut bool) {
	*e = elements{pwn: e.pwn[:0], hash: hashStart}
	for len(b) >= 2 {
		id, n := b[0], int(b[1])
		if len(b) < 2+n {
			e.bad = e.bad || !cut
			return
		}
		e.element(id, b[2:2+n])
		b = b[2+n:]
	}
	e.bad = e.bad || len(b) != 0 && !cut
}

func (e *elements) element(id uint8, v []byte) {
	e.fingerprint(id, v)
	switch id {
	case elSSID:
		if !e.hasSSID {
			e.ssid, e.hasSSID = makeName(v), true
			e.bad = e.bad || len(v) > maxSSID
		}
	case elRates, elExtRates:
		e.numRates += uint8(copy(e.rates[e.numRates:], v))
	case elDS:
		if len(v) == 1 {
			e.channel = v[0]
		}
	case elHTOp:
		if len(v) >= 1 {
			e.htChan = v[0]
		}
	case elRSN:
		if !e.rsn.present && len(v) >= 2 {
			e.rsn.parse(v[2:], ouiIEEE)
		}
	case elVendor:
		e.vendor(v)
	case elPwnagotchi:
		if len(e.pwn)+len(v) <= maxPwn {
			e.pwn = append(e.pwn, v...)
		}
	case elExtended:
		if len(v) > 0 && v[0] == extHEOp {
			e.heOperation(v[1:])
		}
	}
}

func (e *elements) vendor(v []byte) {
	if len(v) < 4 {
		return
	}
	switch be.Uint32(v) {
	case ouiMSFT<<8 | 1:
		if !e.wpa.present && len(v) >= 6 {
			e.wpa.parse(v[6:], ouiMSFT)
		}
	case ouiMSFT<<8 | 4:
		e.wps.parse(v[4:])
	case ouiWFA<<8 | 0x1c:
		e.owe = true
	case ouiASDSTN<<8 | 0x0d:
		if len(v) > 5 {
			e.rid = v[5:] // after the counter of messages
		}
	}
}

// heOperation finds the primary channel at 6 GHz (802.11ax, 9.4.2.249).
func (e *elements) heOperation(v []byte) {
	if len(v) < 6 {
		return
	}
	params := uint32(v[0]) | uint32(v[1])<<8 | uint32(v[2])<<16
	at := 6
	if params&(1<<14) != 0 {
		at += 3 // VHT operation
	}
	if params&(1<<15) != 0 {
		at++ // co-hosted BSSIDs
	}
	if params&(1<<17) != 0 && at < len(v) {
		e.heChan = v[at]
	}
}

// primary is the channel that the elements name: DS, HT, or HE at 6 GHz.
func (e *elements) primary() uint8 {
	switch {
	case e.channel != 0:
		return e.channel
	case e.htChan != 0:
		return e.htChan
	}
	return e.heChan
}

const (
	hashStart = 14695981039346656037 // FNV-1a
	hashPrime = 1099511628211
)

func hashByte(h uint64, b byte) uint64 { return (h ^ uint64(b)) * hashPrime }

func hashBytes(h uint64, b []byte) uint64 {
	for _, c := range b {
		h = hashByte(h, c)
	}
	return h
}

// fingerprint takes an element into the hash: its id, and the content of those
// that tell the make and the configuration of a device. What names the network
// (SSID), moves with the channel or counts is taken by its id alone.
func (e *elements) fingerprint(id uint8, v []byte) {
	if id == elPwnagotchi {
		return
	}
	e.hash = hashByte(e.hash, id)
	switch id {
	case elRates, elExtRates, elRSN, elHTCaps, elVHTCaps, elExtCaps:
		e.hash = hashBytes(e.hash, v)
	case elVendor:
		e.hash = hashBytes(e.hash, v[:min(len(v), 4)])
	case elExtended:
		if len(v) > 0 {
			e.hash = hashByte(e.hash, v[0])
			if v[0] == extHECaps || v[0] == extEHT {
				e.hash = hashBytes(e.hash, v[1:])
			}
		}
	}
}
