package gen

import "math/rand/v2"

// client is how a program greets: what its ClientHello offers.
type client struct {
	ciphers    []uint16
	groups     []uint16
	algorithms []uint16
	extensions []uint16 // in order
	alpn       []string
	grease     bool // RFC 8701
}

// Extensions (IANA TLS ExtensionType Values).
const (
	extName      = 0
	extStatus    = 5
	extGroups    = 10
	extFormats   = 11
	extSigs      = 13
	extALPN      = 16
	extSCT       = 18
	extMaster    = 23
	extCompress  = 27
	extTicket    = 35
	extVersions  = 43
	extPSKModes  = 45
	extKeyShare  = 51
	extTransport = 57
	extReneg     = 0xff01
	groupMLKEM   = 0x11ec // X25519MLKEM768
	groupX25519  = 29
	mlkemShare   = 1216
)

// clients are made after well-known ones: a browser, another, a tool for the
// command line, and a program of an older time.
var clients = [...]client{
	{
		ciphers:    []uint16{0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013, 0xc014, 0x9c, 0x9d, 0x2f, 0x35},
		groups:     []uint16{groupMLKEM, groupX25519, 23, 24},
		algorithms: []uint16{0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601},
		extensions: []uint16{extName, extMaster, extReneg, extGroups, extFormats, extTicket, extALPN, extStatus, extSigs, extSCT, extKeyShare, extPSKModes, extVersions, extCompress},
		alpn:       []string{"h2", "http/1.1"}, grease: true,
	},
	{
		ciphers:    []uint16{0x1301, 0x1303, 0x1302, 0xc02b, 0xc02f, 0xcca9, 0xcca8, 0xc02c, 0xc030, 0xc00a, 0xc009, 0xc013, 0xc014, 0x9c, 0x9d, 0x2f, 0x35},
		groups:     []uint16{groupX25519, 23, 24, 25, 256, 257},
		algorithms: []uint16{0x0403, 0x0503, 0x0603, 0x0804, 0x0805, 0x0806, 0x0401, 0x0501, 0x0601, 0x0203, 0x0201},
		extensions: []uint16{extName, extMaster, extReneg, extGroups, extFormats, extTicket, extALPN, extStatus, extKeyShare, extVersions, extSigs, extPSKModes},
		alpn:       []string{"h2", "http/1.1"},
	},
	{
		ciphers:    []uint16{0x1302, 0x1303, 0x1301, 0xc02c, 0xc030, 0x9f, 0xcca9, 0xcca8, 0xccaa, 0xc02b, 0xc02f, 0x9e, 0xc024, 0xc028, 0x6b, 0xff},
		groups:     []uint16{groupX25519, 23, 30, 25, 24},
		algorithms: []uint16{0x0403, 0x0503, 0x0603, 0x0807, 0x0808, 0x0809, 0x080a, 0x080b, 0x0804, 0x0805, 0x0806, 0x0401, 0x0501, 0x0601},
		extensions: []uint16{extName, extFormats, extGroups, extALPN, extMaster, extSigs, extVersions, extPSKModes, extKeyShare},
		alpn:       []string{"http/1.1"},
	},
	{
		ciphers:    []uint16{0xc02f, 0xc030, 0xc02b, 0xc02c, 0xc013, 0xc014, 0x9c, 0x9d, 0x2f, 0x35, 0x0a},
		groups:     []uint16{23, 24, 25},
		algorithms: []uint16{0x0401, 0x0403, 0x0501, 0x0503, 0x0601, 0x0603, 0x0201, 0x0203},
		extensions: []uint16{extName, extReneg, extGroups, extFormats, extSigs},
	},
}

// vector puts a length of width bytes before b.
func vector(width int, b []byte) []byte {
	var out []byte
	for i := width - 1; i >= 0; i-- {
		out = append(out, byte(len(b)>>(8*i)))
	}
	return append(out, b...)
}

func words(list []uint16) []byte {
	var b []byte
	for _, v := range list {
		b = be.AppendUint16(b, v)
	}
	return b
}

// greased is one of the reserved values.
func greased(rng *rand.Rand) uint16 { return 0x0a0a + 0x1010*uint16(rng.IntN(16)) }

// hello makes a ClientHello message. quic says that it goes over QUIC.
func (t *talk) hello(c *client, name string, quic bool) []byte {
	b := append([]byte{3, 3}, t.bytes(32)...)
	if quic {
		b = append(b, 0)
	} else {
		b = append(b, vector(1, t.bytes(32))...)
	}
	ciphers, extensions := c.ciphers, c.extensions
	if quic {
		ciphers, extensions = ciphers[:3], append([]uint16{extTransport}, extensions...)
	}
	list := words(ciphers)
	if c.grease {
		list = append(be.AppendUint16(nil, greased(t.rng)), list...)
	}
	b = append(b, vector(2, list)...)
	b = append(b, 1, 0)
	var ext []byte
	put := func(typ uint16, data []byte) { ext = append(be.AppendUint16(ext, typ), vector(2, data)...) }
	if c.grease {
		put(greased(t.rng), nil)
	}
	for _, typ := range extensions {
		if body, ok := t.extension(c, typ, name, quic); ok {
			put(typ, body)
		}
	}
	if c.grease {
		put(greased(t.rng), []byte{0})
	}
	b = append(b, vector(2, ext)...)
	return append([]byte{1}, vector(3, b)...)
}

// extension makes the body of an extension.
func (t *talk) extension(c *client, typ uint16, name string, quic bool) (body []byte, ok bool) {
	switch typ {
	case extName:
		return vector(2, append([]byte{0}, vector(2, []byte(name))...)), true
	case extGroups:
		return vector(2, words(c.groups)), true
	case extFormats:
		return []byte{1, 0}, !quic
	case extSigs:
		return vector(2, words(c.algorithms)), true
	case extALPN:
		var list []byte
		for _, p := range t.alpn(c, quic) {
			list = append(list, vector(1, []byte(p))...)
		}
		return vector(2, list), true
	case extStatus:
		return []byte{1, 0, 0, 0, 0}, true
	case extVersions:
		v := []uint16{0x0304, 0x0303}
		if c.grease {
			v = append([]uint16{greased(t.rng)}, v...)
		}
		return vector(1, words(v)), true
	case extPSKModes:
		return []byte{1, 1}, true
	case extCompress:
		return []byte{2, 0, 2}, true
	case extKeyShare:
		var shares []byte
		if c.groups[0] == groupMLKEM {
			shares = append(be.AppendUint16(nil, groupMLKEM), vector(2, t.bytes(mlkemShare))...)
		}
		return vector(2, append(shares, append(be.AppendUint16(nil, groupX25519), vector(2, t.bytes(32))...)...)), true
	case extReneg:
		return []byte{0}, !quic
	case extTransport:
		return append([]byte{1, 4, 0x80, 0, 0x75, 0x30, 3, 2, 0x45, 0xc0}, 4, 4, 0x80, 0x10, 0, 0, 15, 0), quic
	}
	return nil, true
}

func (*talk) alpn(c *client, quic bool) []string {
	if quic {
		return []string{"h3"}
	}
	return c.alpn
}
