package gen

// The types of TLS records and messages.
const (
	changeCipher = 20
	handshake    = 22
	application  = 23
)

// wrap makes a TLS record.
func wrap(typ uint8, b []byte) []byte { return append([]byte{typ, 3, 3}, vector(2, b)...) }

// message makes a handshake message.
func message(typ uint8, b []byte) []byte { return append([]byte{typ}, vector(3, b)...) }

// greet sends the ClientHello of a program.
func (t *talk) greet(c *client, name string) {
	t.g.notes.hellos++
	first := wrap(handshake, t.hello(c, name, false))
	first[2] = 1 // the record's version is 1.0 for the sake of old servers
	t.say(0, 300_000, first)
}

// data makes payload: one record of n bytes in all.
func (t *talk) data(_, n int) []byte { return wrap(application, t.bytes(max(20, n-5))) }

// serverHello makes the answer of a version.
func (t *talk) serverHello(cipher uint16, ext []byte) []byte {
	b := append([]byte{3, 3}, t.bytes(32)...)
	b = append(b, vector(1, t.bytes(32))...)
	b = append(be.AppendUint16(b, cipher), 0)
	return message(2, append(b, vector(2, ext)...))
}

// extend makes an extension of a ServerHello.
func extend(typ uint16, data []byte) []byte {
	return append(be.AppendUint16(nil, typ), vector(2, data)...)
}

// tls12 is a connection whose certificates can be seen (RFC 5246 section 7.3).
func (t *talk) tls12() {
	t.meet(0, 443)
	t.connect()
	c := &clients[1+t.rng.IntN(3)]
	chain := &t.g.certs[t.rng.IntN(len(t.g.certs))]
	t.greet(c, chain.name)
	t.g.notes.certificates++
	cipher := []uint16{0xc02f, 0xc02b, 0xc030}[t.rng.IntN(3)]
	ext := extend(extReneg, []byte{0})
	if len(c.alpn) > 0 && t.rng.IntN(2) == 0 {
		ext = append(ext, extend(extALPN, vector(2, vector(1, []byte(c.alpn[0]))))...)
	}
	var list []byte
	for _, der := range chain.der {
		list = append(list, vector(3, der)...)
	}
	share := append([]byte{3, 0, groupX25519}, vector(1, t.bytes(32))...)
	share = append(share, 4, 1)
	flight := wrap(handshake, t.serverHello(cipher, ext))
	flight = append(flight, wrap(handshake, message(11, vector(3, list)))...)
	flight = append(flight, wrap(handshake, message(12, append(share, vector(2, t.bytes(256))...)))...)
	flight = append(flight, wrap(handshake, message(14, nil))...)
	t.say(1, 8e6, flight)
	t.segment(0, 100_000, ack, nil)
	answer := wrap(handshake, message(16, vector(1, t.bytes(32))))
	answer = append(answer, wrap(changeCipher, []byte{1})...)
	t.say(0, 900_000, append(answer, wrap(handshake, t.bytes(40))...))
	t.say(1, 8e6, append(wrap(changeCipher, []byte{1}), wrap(handshake, t.bytes(40))...))
	t.record = t.data
}

// tls13 is a connection that shows its hellos only (RFC 8446).
func (t *talk) tls13() {
	t.meet(0, 443)
	t.connect()
	c := &clients[1+t.rng.IntN(2)]
	if t.kind == kindTLSLarge {
		c = &clients[0]
	}
	t.greet(c, t.name())
	ext := extend(extVersions, []byte{3, 4})
	ext = append(ext, extend(extKeyShare, append(be.AppendUint16(nil, groupX25519), vector(2, t.bytes(32))...))...)
	flight := wrap(handshake, t.serverHello(c.ciphers[0], ext))
	flight = append(flight, wrap(changeCipher, []byte{1})...)
	for _, n := range [...]int{60, 2100, 281, 69} { // extensions, certificates, their proof, finished
		flight = append(flight, wrap(application, t.bytes(n))...)
	}
	t.say(1, 8e6, flight)
	t.segment(0, 100_000, ack, nil)
	t.say(0, 900_000, append(wrap(changeCipher, []byte{1}), wrap(application, t.bytes(69))...))
	t.record = t.data
}
