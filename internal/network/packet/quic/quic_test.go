package quic

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/packet/packettest"
	"github.com/rind-project/rind/internal/network/packet/parse"
	"github.com/rind-project/rind/internal/network/packet/parse/parsetest"
)

// TestKeys has the vectors of RFC 9001 appendix A.1 and RFC 9369 appendix A.1.
func TestKeys(t *testing.T) {
	t.Parallel()
	id, _ := hex.DecodeString("8394c8f03e515708")
	for version, iv := range map[uint32]string{version1: "fa044b2f42a3fd3b46fb255c", version2: "91f73e2351d8fa91660e909f"} {
		k, err := derive(version, id)
		if err != nil {
			t.Fatal(err)
		}
		if got := hex.EncodeToString(k.iv); got != iv {
			t.Errorf("version %#x: iv %s, want %s", version, got, iv)
		}
	}
	// The sample and mask of RFC 9001 appendix A.2.
	k, err := derive(version1, id)
	if err != nil {
		t.Fatal(err)
	}
	sample, _ := hex.DecodeString("d1b1c98dd7689fb8ec11d242b123dc9b")
	mask := make([]byte, 16)
	k.hp.Encrypt(mask, sample)
	if got := hex.EncodeToString(mask[:5]); got != "437b9aec36" {
		t.Errorf("mask %s", got)
	}
}

var id = []byte("\x83\x94\xc8\xf0\x3e\x51\x57\x08")

// seal makes a client's Initial packet that carries frames.
func seal(t testing.TB, version uint32, id []byte, number byte, frames []byte) []byte {
	t.Helper()
	k, err := derive(version, id)
	if err != nil {
		t.Fatal(err)
	}
	first := byte(0xc0)
	if version == version2 {
		first = 0xd0
	}
	b := be.AppendUint32([]byte{first}, version)
	b = append(append(b, byte(len(id))), id...)
	b = append(b, 0, 0) // no source id, no token
	size := 1 + len(frames) + 16
	b = append(b, byte(0x40|size>>8), byte(size))
	at := len(b)
	b = append(b, number)
	nonce := bytes.Clone(k.iv)
	nonce[11] ^= number
	b = k.aead.Seal(b, nonce, frames, b)
	mask := make([]byte, 16)
	k.hp.Encrypt(mask, b[at+4:at+20])
	b[0] ^= mask[0] & 0x0f
	b[at] ^= mask[1]
	return b
}

func cryptoFrame(offset int, b []byte) []byte {
	f := []byte{frameCrypto, byte(0x40 | offset>>8), byte(offset), byte(0x40 | len(b)>>8), byte(len(b))}
	return append(f, b...)
}

func message() []byte { return packettest.ClientHello("Host.example.net", "h3")[5:] }

func talk(datagrams ...[]byte) parsetest.Conversation {
	var chunks []parsetest.Chunk
	for _, d := range datagrams {
		chunks = append(chunks, parsetest.Chunk{Side: parse.Client, Data: d})
	}
	c := parsetest.Talk(443, chunks...)
	c.Session.Proto = network.UDP
	return c
}

func pad(frames ...[]byte) []byte {
	return append(bytes.Join(frames, nil), make([]byte, 40)...)
}

func TestClientHello(t *testing.T) {
	t.Parallel()
	m := message()
	third := len(m) / 3
	a, b, c := cryptoFrame(0, m[:third]), cryptoFrame(third, m[third:2*third]), cryptoFrame(2*third, m[2*third:])
	ackFrame := []byte{frameACK, 5, 0, 1, 0, 0, 0}
	handshake := append(be.AppendUint32([]byte{0xe0}, version1), 0, 0, 4, 1, 2, 3, 4)
	damaged := seal(t, version1, id, 0, pad(a, b, c))
	damaged[len(damaged)-1] ^= 1
	for name, x := range map[string]struct {
		datagrams [][]byte
		rows      int
		err       error
	}{
		"one packet":             {[][]byte{seal(t, version1, id, 0, pad(a, b, c))}, 1, parse.ErrDone},
		"version 2":              {[][]byte{seal(t, version2, id, 0, pad(a, b, c))}, 1, parse.ErrDone},
		"draft 29":               {[][]byte{seal(t, draft29, id, 0, pad(a, b, c))}, 1, parse.ErrDone},
		"draft 23":               {[][]byte{seal(t, draft23, id, 0, pad(a, b, c))}, 1, parse.ErrDone},
		"frames out of order":    {[][]byte{seal(t, version1, id, 0, pad(c, []byte{framePing}, a, ackFrame, b))}, 1, parse.ErrDone},
		"three datagrams":        {[][]byte{seal(t, version1, id, 0, pad(c)), seal(t, version1, id, 1, pad(a)), seal(t, version1, id, 2, pad(b))}, 1, parse.ErrDone},
		"coalesced":              {[][]byte{slices.Concat(handshake, seal(t, version1, id, 0, pad(a)), seal(t, version1, id, 1, pad(b, c)))}, 1, parse.ErrDone},
		"overlapping, repeated":  {[][]byte{seal(t, version1, id, 0, pad(a, a)), seal(t, version1, id, 1, pad(cryptoFrame(third-5, m[third-5:]), a))}, 1, parse.ErrDone},
		"another id after Retry": {[][]byte{seal(t, version1, id, 0, pad(a)), seal(t, version1, []byte("retry"), 1, pad(a, b, c))}, 1, parse.ErrDone},
		"the end is missing":     {[][]byte{seal(t, version1, id, 0, pad(a, b))}, 0, nil},
		"damaged":                {[][]byte{damaged}, 0, nil},
		"closed":                 {[][]byte{seal(t, version1, id, 0, pad([]byte{frameClose}))}, 0, nil},
		"a frame not allowed":    {[][]byte{seal(t, version1, id, 0, pad([]byte{0x08}))}, 0, parse.ErrMalformed},
		"beyond the limit":       {[][]byte{seal(t, version1, id, 0, pad([]byte{frameCrypto, 0x80, 0, 0x40, 0, 1, 0}))}, 0, parse.ErrMalformed},
		"another message":        {[][]byte{seal(t, version1, id, 0, pad(cryptoFrame(0, []byte("\x02\x00\x00\x01x"))))}, 0, parse.ErrMalformed},
		"cut off":                {[][]byte{seal(t, version1, id, 0, pad(a, b, c))[:300]}, 0, parse.ErrMalformed},
		"too many datagrams":     {slices.Repeat([][]byte{seal(t, version1, id, 0, pad(a))}, maxDatagrams+1), 0, parse.ErrDone},
		"short header later":     {[][]byte{seal(t, version1, id, 0, pad(a)), {0x40, 1, 2, 3, 4, 5, 6, 7}}, 0, parse.ErrDone},
		"not QUIC":               {[][]byte{[]byte("hello, world")}, 0, parse.ErrNot},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, out := New(), parsetest.NewOut()
			out.Session = talk(x.datagrams...).Session
			var err error
			for _, d := range x.datagrams {
				if err = p.Datagram(out, parse.Client, d); err != nil {
					break
				}
			}
			if !errors.Is(err, x.err) || len(out.TLS) != x.rows {
				t.Fatalf("%v, %d rows; want %v, %d", err, len(out.TLS), x.err, x.rows)
			}
			if err != nil && len(p.index) != 0 {
				t.Errorf("%d connections are held", len(p.index))
			}
			for _, h := range out.TLS {
				if h.SNI != "host.example.net" || h.Proto != network.UDP || len(h.ALPN) != 1 || h.ALPN[0] != "h3" ||
					!strings.HasPrefix(h.JA4, "q13d") || h.DstPort != 443 || h.Version != 0x0304 {
					t.Errorf("%+v", h)
				}
			}
		})
	}
}

// TestGolden reads aioquic in versions 1 and 2.
func TestGolden(t *testing.T) {
	t.Parallel()
	parsetest.GoldenDatagrams(t, filepath.Join("testdata", "aioquic.pcap"), 443, New())
}

// TestBounded begins many connections that never go on.
func TestBounded(t *testing.T) {
	t.Parallel()
	p, out := New(), parsetest.NewOut()
	m := message()
	part := seal(t, version1, id, 0, pad(cryptoFrame(0, m[:50])))
	out.Session = talk(part).Session
	const many = 2000
	for i := range many {
		out.Session.Client = netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})
		if err := p.Datagram(out, parse.Client, part); err != nil {
			t.Fatal(err)
		}
	}
	if len(p.index) != maxConnections || p.Pushed() != many-maxConnections {
		t.Errorf("%d are held, %d were given up", len(p.index), p.Pushed())
	}
	// The latest goes on.
	if err := p.Datagram(out, parse.Client, seal(t, version1, id, 1, pad(cryptoFrame(50, m[50:])))); !errors.Is(err, parse.ErrDone) || len(out.TLS) != 1 {
		t.Errorf("%v, %d rows of the latest connection", err, len(out.TLS))
	}
}

func TestLinear(t *testing.T) {
	parsetest.Linear(t, 500, func(n int) {
		var c crypto
		rnd := rand.New(rand.NewPCG(1, 2))
		for _, i := range rnd.Perm(n) {
			if !c.frames(cryptoFrame(4*i, []byte("\x01\x00\x00\x00"))) {
				t.Fatal("refused")
			}
		}
		if c.upto != 4*n {
			t.Fatal(c.upto)
		}
	})
}

// TestAgainstTshark compares server names and JA3 with those that tshark
// finds in captures of browsers.
func TestAgainstTshark(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"zeek/quic/chromium-115.0.5790.110-api-cirrus-com.pcap", "zeek/quic/quic-multiple-initial-fragmented-crypto.pcap",
		"zeek/quic/quicv2-http3-443.pcap", "suricata-verify/ja4-quic__input.pcap", "suricata-verify/ja4-rules__input.pcap",
		"suricata-verify/quic-frag-unordered__input.pcap",
	} {
		t.Run(filepath.Base(name), func(t *testing.T) {
			t.Parallel()
			path := parsetest.Corpus(t, name)
			want, got := map[string]bool{}, map[string]bool{}
			for _, row := range parsetest.Tshark(t, path, "", "quic && tls.handshake.type == 1", "tls.handshake.extensions_server_name", "tls.handshake.ja3") {
				want[fmt.Sprintf("%s %s", strings.ToLower(row[0]), row[1])] = true
			}
			p, out := New(), parsetest.NewOut()
			for _, c := range parsetest.Conversations(t, path, network.UDP, 443) {
				if err := parsetest.RunDatagrams(p, out, c); err != nil {
					t.Logf("%v: %v", c.Session.Client, err)
				}
			}
			for _, h := range out.TLS {
				got[h.SNI+" "+h.JA3] = true
				t.Log(h.SNI, h.JA4)
			}
			if diff := cmp.Diff(slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(got))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func FuzzDatagram(f *testing.F) {
	m := message()
	parsetest.FuzzDatagrams(f, func() parse.Datagrams { return New() },
		talk(seal(f, version1, id, 0, pad(cryptoFrame(0, m))), seal(f, version2, id, 0, pad(cryptoFrame(0, m)))))
}

func FuzzFrames(f *testing.F) {
	f.Add(pad(cryptoFrame(3, []byte("abc")), []byte{frameACKECN, 1, 2, 1, 0, 3, 4, 5, 6, 7}))
	f.Fuzz(func(t *testing.T, b []byte) {
		var c crypto
		ok := c.frames(b)
		if len(c.buf) > maxCrypto || c.upto > len(c.buf) {
			t.Errorf("%d bytes, %d without a gap, %v", len(c.buf), c.upto, ok)
		}
		if m, err := c.message(); err == nil && m != nil && len(m) > c.upto {
			t.Errorf("a message of %d bytes of %d", len(m), c.upto)
		}
	})
}
