package tls

import "time"

// The tags of DER that are read (X.690 section 8).
const (
	tagInteger         = 0x02
	tagOID             = 0x06
	tagBMP             = 0x1e
	tagUTCTime         = 0x17
	tagGeneralizedTime = 0x18
	tagSequence        = 0x30
	tagSet             = 0x31
	tagOctets          = 0x04
	tagBoolean         = 0x01
	tagVersion         = 0xa0 // of a certificate
	tagExtensions      = 0xa3 // likewise
)

// element cuts one element of DER from the front of b. Only the definite form
// of lengths and tags of one byte are read.
func element(b []byte) (tag byte, body, rest []byte, ok bool) {
	if len(b) < 2 || b[0]&0x1f == 0x1f {
		return 0, nil, nil, false
	}
	tag = b[0]
	n, at := int(b[1]), 2
	if n >= 0x80 {
		width := n & 0x7f
		if width == 0 || width > 3 || len(b) < 2+width {
			return 0, nil, nil, false
		}
		n = 0
		for _, c := range b[2 : 2+width] {
			n = n<<8 | int(c)
		}
		at += width
	}
	if n > len(b)-at {
		return 0, nil, nil, false
	}
	return tag, b[at : at+n], b[at+n:], true
}

// want is element for one tag.
func want(b []byte, wanted byte) (body, rest []byte, ok bool) {
	tag, body, rest, ok := element(b)
	return body, rest, ok && tag == wanted
}

// derTime reads a time of a certificate (RFC 5280 section 4.1.2.5), also
// without seconds or with an offset. What is no time is the zero time.
func derTime(tag byte, b []byte) time.Time {
	var year int
	switch {
	case tag == tagUTCTime && len(b) >= 11:
		if year = two(b); year >= 50 {
			year += 1900
		} else {
			year += 2000
		}
		b = b[2:]
	case tag == tagGeneralizedTime && len(b) >= 13:
		year = two(b)*100 + two(b[2:])
		b = b[4:]
	default:
		return time.Time{}
	}
	month, day, hour, minute, second := two(b), two(b[2:]), two(b[4:]), two(b[6:]), 0
	if b = b[8:]; len(b) >= 2 && b[0] >= '0' && b[0] <= '9' {
		second = two(b)
		b = b[2:]
	}
	offset := 0
	if len(b) == 5 && (b[0] == '+' || b[0] == '-') {
		if offset = two(b[1:])*60 + two(b[3:]); b[0] == '-' {
			offset = -offset
		}
	} else if len(b) != 1 || b[0] != 'Z' {
		return time.Time{}
	}
	if year < 0 || month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 || minute > 59 || second > 60 ||
		hour < 0 || minute < 0 || second < 0 {
		return time.Time{}
	}
	at := time.Date(year, time.Month(month), day, hour, minute-offset, second, 0, time.UTC)
	if at.Year() < 1 || at.Year() > 9999 {
		return time.Time{}
	}
	return at
}

// two reads two digits; what is no digit makes it negative, and so large that
// no sum of it is a year.
func two(b []byte) int {
	if b[0] < '0' || b[0] > '9' || b[1] < '0' || b[1] > '9' {
		return -1 << 20
	}
	return int(b[0]-'0')*10 + int(b[1]-'0')
}
