package wifi

// Alignment and size of the fields of the radiotap namespace, in the order of
// their bits (radiotap.org/fields/defined).
var radiotapFields = [28]struct{ align, size uint8 }{
	{8, 8},  // 0 TSFT
	{1, 1},  // 1 flags
	{1, 1},  // 2 rate
	{2, 4},  // 3 channel
	{2, 2},  // 4 FHSS
	{1, 1},  // 5 antenna signal, dBm
	{1, 1},  // 6 antenna noise, dBm
	{2, 2},  // 7 lock quality
	{2, 2},  // 8 transmit attenuation
	{2, 2},  // 9 transmit attenuation, dB
	{1, 1},  // 10 transmit power, dBm
	{1, 1},  // 11 antenna
	{1, 1},  // 12 antenna signal, dB
	{1, 1},  // 13 antenna noise, dB
	{2, 2},  // 14 receive flags
	{2, 2},  // 15 transmit flags
	{1, 1},  // 16 RTS retries
	{1, 1},  // 17 data retries
	{4, 8},  // 18 XChannel
	{1, 3},  // 19 MCS
	{4, 8},  // 20 A-MPDU status
	{2, 12}, // 21 VHT
	{8, 12}, // 22 timestamp
	{2, 12}, // 23 HE
	{2, 12}, // 24 HE-MU
	{2, 6},  // 25 HE-MU of another user
	{1, 1},  // 26 0-length PSDU
	{2, 4},  // 27 L-SIG
}

const (
	radiotapHead     = 8
	maxRadiotapWords = 32
	radiotapNext     = 29 // the next word is of the radiotap namespace again
	vendorNext       = 30 // the next word is of a vendor's
	extended         = 31 // there is a next word
)

// radiotap reads a radiotap header. Fields past one that is not known cannot
// be found and are left; the header's length tells where the frame begins.
func (r *radio) radiotap(b []byte) bool {
	if len(b) < radiotapHead || b[0] != 0 {
		return false
	}
	n := int(le.Uint16(b[2:]))
	if n < radiotapHead || n > len(b) {
		return false
	}
	r.length = n
	b = b[:n]
	words := 1
	for le.Uint32(b[4*words:])&(1<<extended) != 0 {
		words++
		if words > maxRadiotapWords || 4+4*words > n {
			return false
		}
	}
	r.radiotapWords(b, words)
	return true
}

func (r *radio) radiotapWords(b []byte, words int) {
	at, vendor, first := 4+4*words, false, true
	for w := range words {
		present := le.Uint32(b[4+4*w:])
		if !vendor {
			var ok bool
			if at, ok = r.radiotapWord(b, at, present&(1<<radiotapNext-1), first); !ok {
				return
			}
			first = false
		}
		if present&(1<<vendorNext) != 0 {
			at += at & 1
			if at+6 > len(b) {
				return
			}
			at += 6 + int(le.Uint16(b[at+4:]))
			vendor = true
		} else if present&(1<<radiotapNext) != 0 {
			vendor = false
		}
	}
}

// radiotapWord walks the fields of one word of the radiotap namespace. The
// first word is of the frame; later ones are of single antennas, and only fill
// what the first left open.
func (r *radio) radiotapWord(b []byte, at int, present uint32, first bool) (int, bool) {
	for bit := 0; present != 0; bit, present = bit+1, present>>1 {
		if present&1 == 0 {
			continue
		}
		if bit >= len(radiotapFields) {
			return at, false
		}
		f := radiotapFields[bit]
		at = (at + int(f.align) - 1) &^ (int(f.align) - 1)
		if at+int(f.size) > len(b) {
			return at, false
		}
		r.radiotapField(bit, b[at:at+int(f.size)], first)
		at += int(f.size)
	}
	return at, true
}

// Bits of the flags field, and of the receive flags.
const (
	flagFCS    = 0x10
	flagPadded = 0x20
	flagBad    = 0x40
	rxBadPLCP  = 0x02
)

func (r *radio) radiotapField(bit int, f []byte, first bool) {
	switch bit {
	case 1:
		if !first {
			return
		}
		r.fcs, r.padded, r.bad = no, f[0]&flagPadded != 0, r.bad || f[0]&flagBad != 0
		if f[0]&flagFCS != 0 {
			r.fcs = yes
		}
	case 3:
		if r.freq == 0 {
			r.freq = le.Uint16(f)
		}
	case 5:
		if r.signal == 0 {
			r.dBm(int32(int8(f[0])))
		}
	case 14:
		r.bad = r.bad || le.Uint16(f)&rxBadPLCP != 0
	case 18:
		if r.freq == 0 {
			r.freq = le.Uint16(f[4:])
		}
	case 26:
		r.noFrame = true
	}
}
