package gen

import (
	"fmt"
	"net/netip"
)

// http is a connection with one request whose answer is as long as the
// conversation's payload is; of three packets one is an acknowledgement.
func (t *talk) http() {
	t.meet(0, 80)
	t.connect()
	t.shape = download
	agents := []string{"Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0", "curl/8.5.0", "apt/2.6.1", "Go-http-client/1.1"}
	kinds := []string{"text/html; charset=utf-8", "application/json", "image/png", "application/octet-stream"}
	req := fmt.Sprintf("GET /%x/item%d HTTP/1.1\r\nHost: %s\r\nUser-Agent: %s\r\nAccept: */*\r\nAccept-Encoding: gzip\r\n\r\n",
		t.rng.IntN(4096), t.rng.IntN(50), t.name(), agents[t.rng.IntN(len(agents))])
	t.say(0, 300_000, []byte(req))
	body := 400 + t.rng.IntN(800)
	size := body + (t.bulk-t.bulk/3)*t.mss
	head := fmt.Sprintf("HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n", kinds[t.rng.IntN(len(kinds))], size)
	t.say(1, 10e6, append([]byte(head), t.bytes(body)...))
	t.segment(0, 100_000, ack, nil)
	t.record = func(_, n int) []byte { return t.bytes(n) }
}

// kexinit makes the packet with which both sides of SSH begin (RFC 4253
// section 7.1).
func (t *talk) kexinit(lists ...string) []byte {
	b := append([]byte{20}, t.bytes(16)...)
	for _, l := range lists {
		b = append(b, vector(4, []byte(l))...)
	}
	b = append(b, 0, 0, 0, 0, 0)
	fill := 8 - (len(b)+5)%8
	if fill < 4 {
		fill += 8
	}
	b = append([]byte{byte(fill)}, append(b, make([]byte, fill)...)...)
	return vector(4, b)
}

func (t *talk) ssh() {
	t.meet(0, 22)
	t.connect()
	t.shape = dialogue
	versions := []string{"OpenSSH_9.2p1 Debian-2+deb12u3", "OpenSSH_8.9p1 Ubuntu-3ubuntu0.10", "libssh_0.10.6", "Go"}
	t.say(0, 300_000, []byte("SSH-2.0-"+versions[t.rng.IntN(len(versions))]+"\r\n"))
	t.say(1, 5e6, []byte("SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n"))
	ciphers := "chacha20-poly1305@openssh.com,aes128-ctr,aes192-ctr,aes256-ctr,aes128-gcm@openssh.com,aes256-gcm@openssh.com"
	macs := "umac-64-etm@openssh.com,umac-128-etm@openssh.com,hmac-sha2-256-etm@openssh.com,hmac-sha2-512-etm@openssh.com"
	kex := t.kexinit("curve25519-sha256,ecdh-sha2-nistp256,diffie-hellman-group14-sha256", "ssh-ed25519,rsa-sha2-512,rsa-sha2-256",
		ciphers, ciphers, macs, macs, "none,zlib@openssh.com", "none,zlib@openssh.com", "", "")
	t.say(0, 100_000, kex)
	t.say(1, 3e6, kex)
	t.record = func(_, n int) []byte { return t.bytes(max(36, n)) }
}

func (t *talk) unknownTCP() {
	t.meet(0, uint16(20000+t.rng.IntN(20)))
	t.connect()
	t.record = func(_, n int) []byte { return t.bytes(max(8, n)) }
	t.say(0, 300_000, append([]byte{0xfe, 0xca, 0, 1}, t.bytes(90)...))
	t.say(1, 5e6, append([]byte{0xfe, 0xca, 0, 2}, t.bytes(200)...))
}

func (t *talk) unknownUDP() {
	t.meet(0, uint16(21000+t.rng.IntN(20)))
	t.record = func(_, n int) []byte { return append([]byte{0xfe, 0xca, 0, 1}, t.bytes(max(8, n))...) }
	t.send(0, 0, t.record(0, 100))
}

// ntp asks for the time (RFC 5905 section 7.3).
func (t *talk) ntp() {
	t.meet(0, 123)
	b := make([]byte, 48)
	b[0] = 0x23
	be.PutUint64(b[40:], t.rng.Uint64())
	t.send(0, 0, b)
	a := make([]byte, 48)
	a[0], a[1], a[2], a[3] = 0x24, 2, 6, 0xe8
	copy(a[12:], "\xc6\x12\x00\x01")
	copy(a[24:], b[40:])
	for i := 16; i < 48; i += 8 {
		if i != 24 {
			be.PutUint64(a[i:], 0xecb0_9a40_0000_0000|uint64(t.rng.Uint32()))
		}
	}
	t.send(1, 9e6, a)
}

// ping sends some echo requests (RFC 792, RFC 4443 section 4).
func (t *talk) ping() {
	t.meet(0, 0)
	proto, types := uint8(icmp), [2]byte{8, 0}
	if t.ends[0].Addr().Is6() {
		proto, types = icmpv6, [2]byte{128, 129}
	}
	for n := range 2 + t.rng.IntN(5) {
		b := append([]byte{types[0], 0, 0, 0, 1, byte(t.id), 0, byte(n)}, t.bytes(56)...)
		t.later(1e9, t.packet(0, proto, b, 2))
		b[0] = types[1]
		t.later(8e6, t.packet(1, proto, b, 2))
	}
	t.queue[0].gap = 0
}

// scan knocks at one port from one of a few hosts.
func (t *talk) scan() {
	t.meet(0, uint16(1+t.rng.IntN(10_000)))
	t.stamps = false
	t.segment(0, 0, syn, nil)
	if t.kind == kindScanAnswered {
		t.seq[1] = 0
		t.segment(1, 400_000, rst|ack, nil)
	}
}

// arp asks for a neighbour (RFC 826).
func (t *talk) arp() {
	host := byte(t.rng.IntN(250))
	b := []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 3, host, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 3, host, 10, 3, 0, host, 0, 0, 0, 0, 0, 0, 10, 3, 0, 254}
	t.later(0, pad(b))
	if t.rng.IntN(4) > 0 {
		a := []byte{2, 0, 0, 0, 3, host, 2, 0, 0, 1, 0, 1, 8, 6, 0, 1, 8, 0, 6, 4, 0, 2, 2, 0, 0, 1, 0, 1, 10, 3, 0, 254, 2, 0, 0, 0, 3, host, 10, 3, 0, host}
		t.later(300_000, pad(a))
	}
}

// broken is a frame with a fault.
func (t *talk) broken() {
	t.meet(0, 443)
	t.segment(0, 0, ack, t.bytes(40))
	f := &t.queue[0].frame
	ip := 14
	if t.vlan != 0 {
		ip = 18
	}
	b := *f
	v4 := t.ends[0].Addr().Is4()
	switch t.rng.IntN(6) {
	case 0:
		b[ip] &= 0xf0 // a header of no length; of no traffic class
		b[ip] |= 0x02
	case 1:
		if at := ip + 2; v4 {
			be.PutUint16(b[at:], 9000)
		} else {
			be.PutUint16(b[ip+4:], 9000)
		}
	case 2:
		if v4 {
			b[ip+32] = 0
		} else {
			b[ip+52] = 0
		}
	case 3:
		*f = b[:ip+t.rng.IntN(18)]
	case 4:
		be.PutUint16(b[ip-2:], 0x9999)
	case 5: // a name that points at itself
		t.ends[1] = netip.AddrPortFrom(t.ends[1].Addr(), 53)
		loop := question(7, 0x0100, "x", typeA)
		copy(loop[12:], []byte{0xc0, 12})
		t.queue = nil
		t.g.notes.dns++
		t.send(0, 0, loop)
	}
}

// dhcp is a client that gets an address (RFC 2131 section 3.1).
func (t *talk) dhcp() {
	t.meet(68, 67)
	t.dhcpEnds()
	chaddr := t.mac[0]
	xid := t.rng.Uint32()
	names := []string{"laptop", "phone", "printer", "camera"}
	host := fmt.Sprintf("%s-%d", names[t.rng.IntN(len(names))], t.rng.IntN(500))
	make4 := func(op, kind byte, client bool) []byte {
		b := append([]byte{op, 1, 6, 0}, be.AppendUint32(nil, xid)...)
		b = append(b, make([]byte, 20)...)
		b = append(append(b, chaddr[:]...), make([]byte, 10+64+128)...)
		b = append(b, 0x63, 0x82, 0x53, 0x63, 53, 1, kind)
		if client {
			b = append(append(b, 12, byte(len(host))), host...)
			lists := [][]byte{{1, 28, 2, 3, 15, 6, 119, 12, 44, 47, 26, 121, 42}, {1, 3, 6, 15, 31, 33, 43, 44, 46, 47, 119, 121, 249, 252}, {1, 121, 3, 6, 15, 119, 252}}
			list := lists[int(chaddr[5])%len(lists)]
			b = append(append(b, 55, byte(len(list))), list...)
		} else {
			copy(b[16:], []byte{10, 1, chaddr[4], chaddr[5]})
			b = append(b, 54, 4, 10, 0, 0, 1, 51, 4, 0, 0, 0x0e, 0x10, 1, 4, 255, 0, 0, 0, 3, 4, 10, 0, 0, 1)
		}
		b = append(b, 255)
		return append(b, make([]byte, max(0, 300-len(b)))...)
	}
	t.send(0, 0, make4(1, 1, true))
	t.send(1, 4e6, make4(2, 2, false))
	t.send(0, 2e6, make4(1, 3, true))
	t.send(1, 4e6, make4(2, 5, false))
}

// dhcpEnds are the client's address and the server's, as in a renewal; a
// client without an address has none to be told from another by.
func (t *talk) dhcpEnds() {
	if t.ends[0].Addr().Is6() { // DHCPv6 is another protocol
		t.g.notes.v6--
	}
	c := netip.AddrFrom4([4]byte{10, 1, t.mac[0][4], t.mac[0][5]})
	t.ends = [2]netip.AddrPort{netip.AddrPortFrom(c, 68), netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, 1}), 67)}
}
