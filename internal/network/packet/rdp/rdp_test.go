package rdp_test

import (
	"encoding/binary"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/packet/parse"
	"github.com/rind-project/rind/internal/network/packet/parse/parsetest"
	"github.com/rind-project/rind/internal/network/packet/rdp"
)

func newStream() parse.Stream { return new(rdp.Stream) }

func tpkt(body string) string {
	return "\x03\x00" + string(binary.BigEndian.AppendUint16(nil, uint16(4+len(body)))) + body
}

// x224 is a connection request (0xe0) or confirm (0xd0).
func x224(kind byte, rest string) string {
	return tpkt(string([]byte{byte(6 + len(rest)), kind, 0, 0, 0, 0, 0}) + rest)
}

func neg(kind byte, v uint32) string {
	return string(binary.LittleEndian.AppendUint32([]byte{kind, 0, 8, 0}, v))
}

// connectInitial is an MCS connect initial as MS-RDPBCGR section 4.1.3 shows
// it, with the client's name. long says that the length of the user data has
// two bytes.
func connectInitial(name string, long bool) string {
	core := binary.LittleEndian.AppendUint16(nil, 0xc001)
	core = append(core, 0xd8, 0x00, 4, 0, 8, 0, 0, 5, 0, 4, 1, 0xca, 3, 0xaa, 9, 4, 0, 0, 0xce, 0x0e, 0, 0)
	units := utf16.Encode([]rune(name))
	for i := range 16 {
		u := uint16(0)
		if i < len(units) {
			u = units[i]
		}
		core = binary.LittleEndian.AppendUint16(core, u)
	}
	core = append(core, make([]byte, 0xd8-len(core))...)
	user := "\x04\xc0\x0c\x00\x09\x00\x00\x00\x00\x00\x00\x00" // another block before it
	user += string(core)
	length := "\x81\x2c"
	if !long {
		length = "\x10"
	}
	gcc := "\x00\x05\x00\x14\x7c\x00\x01\x81\x2a\x00\x08\x00\x10\x00\x01\xc0\x00Duca" + length + user
	domain := "\x30\x19" + strings.Repeat("\x02\x01\x22", 8) + "\x00"
	mcs := "\x04\x01\x01\x04\x01\x01\x01\x01\xff" + domain + domain + domain + "\x04\x82\x01\x33" + gcc
	return tpkt("\x02\xf0\x80\x7f\x65\x82\x01\x94" + mcs)
}

func TestStream(t *testing.T) {
	t.Parallel()
	ask := x224(0xe0, "Cookie: mstshash=alice\r\n"+neg(1, 3))
	for name, c := range map[string]struct {
		chunks []parsetest.Chunk
		want   []network.RDP
		err    error
	}{
		"goes on as TLS":   {[]parsetest.Chunk{parsetest.C(ask), parsetest.S(x224(0xd0, neg(2, 2)))}, []network.RDP{{Cookie: "mstshash=alice", Offered: "tls,hybrid", Selected: "hybrid"}}, parse.ErrTLS},
		"refused":          {[]parsetest.Chunk{parsetest.C(ask), parsetest.S(x224(0xd0, neg(3, 5)))}, []network.RDP{{Cookie: "mstshash=alice", Offered: "tls,hybrid", Selected: "failure: hybrid_required_by_server"}}, parse.ErrDone},
		"no answer":        {[]parsetest.Chunk{parsetest.C(ask)}, []network.RDP{{Cookie: "mstshash=alice", Offered: "tls,hybrid"}}, nil},
		"in the clear":     {[]parsetest.Chunk{parsetest.C(x224(0xe0, "")), parsetest.S(x224(0xd0, "")), parsetest.C(connectInitial("DESK-ö1", true))}, []network.RDP{{Selected: "rdp", Name: "DESK-ö1"}}, parse.ErrDone},
		"a short length":   {[]parsetest.Chunk{parsetest.C(x224(0xe0, neg(1, 0))), parsetest.S(x224(0xd0, neg(2, 0))), parsetest.C(connectInitial("PC", false))}, []network.RDP{{Offered: "rdp", Selected: "rdp", Name: "PC"}}, parse.ErrDone},
		"another connect":  {[]parsetest.Chunk{parsetest.C(x224(0xe0, "")), parsetest.S(x224(0xd0, "")), parsetest.C(tpkt("\x02\xf0\x80\x68\x00Duca\x10\x01\xc0\xff\xff"))}, []network.RDP{{Selected: "rdp"}}, parse.ErrDone},
		"a block too long": {[]parsetest.Chunk{parsetest.C(x224(0xe0, "")), parsetest.S(x224(0xd0, "")), parsetest.C(tpkt("\x02\xf0\x80\x7f\x65\x82\x01\x94Duca\x10\x01\xc0\xff\xff"))}, []network.RDP{{Selected: "rdp"}}, parse.ErrDone},
		"routing token":    {[]parsetest.Chunk{parsetest.C(x224(0xe0, "Cookie: msts=3640205228.15629.0000\r\n"+neg(1, 0x2b)))}, []network.RDP{{Cookie: "msts=3640205228.15629.0000", Offered: "tls,hybrid,hybrid_ex,other"}}, nil},
		"server first":     {[]parsetest.Chunk{parsetest.S(x224(0xd0, ""))}, nil, parse.ErrNot},
		"two requests":     {[]parsetest.Chunk{parsetest.C(ask + ask)}, []network.RDP{{Cookie: "mstshash=alice", Offered: "tls,hybrid"}}, parse.ErrMalformed},
		"odd answer":       {[]parsetest.Chunk{parsetest.C(ask), parsetest.S(x224(0x80, ""))}, []network.RDP{{Cookie: "mstshash=alice", Offered: "tls,hybrid"}}, parse.ErrMalformed},
		"too long":         {[]parsetest.Chunk{parsetest.C("\x03\x00\xff\xff\x06\xe0\x00")}, nil, parse.ErrNot},
		"length is wrong":  {[]parsetest.Chunk{parsetest.C(tpkt("\x10\xe0\x00\x00\x00\x00\x00"))}, nil, parse.ErrNot},
		"not RDP":          {[]parsetest.Chunk{parsetest.C("GET / HTTP/1.1\r\n")}, nil, parse.ErrNot},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, talk := parsetest.NewOut(), parsetest.Talk(3389, c.chunks...)
			if err := parsetest.Run(newStream(), out, talk, nil); !errors.Is(err, c.err) {
				t.Fatalf("it ended with %v, want %v", err, c.err)
			}
			for i := range out.Records.RDP {
				out.Records.RDP[i].Session = network.Session{}
			}
			if diff := cmp.Diff(c.want, out.Records.RDP, cmp.Comparer(func(a, b network.RDP) bool { return a == b })); diff != "" {
				t.Error(diff)
			}
			parsetest.Cuts(t, newStream(), talk, 1)
		})
	}
}

// TestGolden reads FreeRDP and xrdp: TLS, and twice in the clear.
func TestGolden(t *testing.T) {
	t.Parallel()
	parsetest.Golden(t, filepath.Join("testdata", "xrdp.pcap"), 3389, newStream)
}

func TestLooksLike(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		side int
		b    string
		want bool
	}{
		"cookie":            {parse.Client, x224(0xe0, "Cookie: mstshash=a\r\n"), true},
		"protocols":         {parse.Client, x224(0xe0, neg(1, 1)), true},
		"nothing more":      {parse.Client, x224(0xe0, ""), true},
		"of the server":     {parse.Server, x224(0xe0, ""), false},
		"another parameter": {parse.Client, x224(0xe0, "\xc1\x02\x01\x00\xc2\x02\x01\x02\xc0\x01\x0a"), false}, // S7
		"confirm":           {parse.Client, x224(0xd0, ""), false},
		"cut off":           {parse.Client, x224(0xe0, "")[:9], false},
	} {
		if got := rdp.LooksLike(c.side, []byte(c.b)); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestLinear(t *testing.T) {
	s, out := new(rdp.Stream), parsetest.NewOut()
	parsetest.Linear(t, 1500, func(n int) {
		s.Reset()
		for _, c := range []parsetest.Chunk{parsetest.C(x224(0xe0, "")), parsetest.S(x224(0xd0, "")),
			parsetest.C(tpkt("\x02\xf0\x80\x7f\x65\x82\x01\x94Duca\x10" + strings.Repeat("\x02\xc0\x04\x00", n/4)))} {
			if _, err := s.Next(out, c.Side, c.Data); err != nil && !errors.Is(err, parse.ErrDone) {
				t.Fatal(err)
			}
		}
	})
}

func FuzzStream(f *testing.F) {
	parsetest.FuzzStream(f, newStream,
		parsetest.Talk(3389, parsetest.C(x224(0xe0, "Cookie: mstshash=alice\r\n"+neg(1, 3))), parsetest.S(x224(0xd0, neg(2, 0))), parsetest.C(connectInitial("PC", true))),
		parsetest.Talk(3389, parsetest.C(x224(0xe0, "")), parsetest.S(x224(0xd0, neg(3, 2)))))
}
