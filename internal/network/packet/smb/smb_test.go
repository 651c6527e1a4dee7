package smb_test

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/packet/parse"
	"github.com/rind-project/rind/internal/network/packet/parse/parsetest"
	"github.com/rind-project/rind/internal/network/packet/smb"
)

func stream() parse.Stream { return smb.New() }

func TestCaptures(t *testing.T) {
	t.Parallel()
	parsetest.Golden(t, "testdata/smb.pcap", smb.Port, stream)
	parsetest.Golden(t, "testdata/smb139.pcap", smb.PortNetBIOS, stream)
}

// header is SMB2's.
func header(command uint16, response bool, next int) []byte {
	b := make([]byte, 64)
	copy(b, "\xfeSMB\x40")
	binary.LittleEndian.PutUint16(b[12:], command)
	if response {
		b[16] = 1
	}
	binary.LittleEndian.PutUint32(b[20:], uint32(next))
	return b
}

func utf(s string) (b []byte) {
	for _, u := range utf16.Encode([]rune(s)) {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	return b
}

// connect is a tree connect request.
func connect(path string, next int) []byte {
	p := utf(path)
	b := append(header(3, false, next), 9, 0, 0, 0, 72, 0, byte(len(p)), byte(len(p)>>8))
	return append(b, p...)
}

func framed(b ...[]byte) string {
	all := bytes.Join(b, nil)
	return string([]byte{0, byte(len(all) >> 16), byte(len(all) >> 8), byte(len(all))}) + string(all)
}

func negotiated(dialect uint16, mode byte) []byte {
	return append(header(0, true, 0), 65, 0, mode, 0, byte(dialect), byte(dialect>>8))
}

func run(t *testing.T, chunks ...parsetest.Chunk) (network.SMB, error) {
	t.Helper()
	out := parsetest.NewOut()
	err := parsetest.Run(stream(), out, parsetest.Talk(smb.Port, chunks...), nil)
	if len(out.Records.SMB) == 0 {
		return network.SMB{}, err
	}
	return out.Records.SMB[0], err
}

func TestDialects(t *testing.T) {
	t.Parallel()
	for dialect, want := range map[uint16]string{0x0202: "2.0.2", 0x0210: "2.1", 0x0300: "3.0", 0x0302: "3.0.2", 0x0311: "3.1.1", 0x02ff: "2", 0x0999: "0x999"} {
		if r, err := run(t, parsetest.S(framed(negotiated(dialect, 3)))); err != nil || r.Dialect != want || r.Signing != "required" {
			t.Errorf("%x: %v %+v", dialect, err, r)
		}
	}
}

// TestCompound: every request of a compound is read, at most 16 trees are kept,
// equal ones once.
func TestCompound(t *testing.T) {
	t.Parallel()
	first := connect(`\\files\a`, 0)
	for len(first)%8 != 0 {
		first = append(first, 0)
	}
	binary.LittleEndian.PutUint32(first[20:], uint32(len(first)))
	r, err := run(t, parsetest.C(framed(first, connect(`\\files\𝄞`, 0))+framed(connect(`\\files\a`, 0))))
	if err != nil || strings.Join(r.Trees, " ") != `//files/a //files/𝄞` {
		t.Errorf("%v %q", err, r.Trees)
	}
	var many []string
	for i := range 40 {
		many = append(many, framed(connect(`\\files\`+string(rune('a'+i)), 0)))
	}
	if r, err = run(t, parsetest.C(strings.Join(many, ""))); err != nil || len(r.Trees) != 16 {
		t.Errorf("%v %d trees", err, len(r.Trees))
	}
}

func TestEnds(t *testing.T) {
	t.Parallel()
	for title, c := range map[string]struct {
		data string
		err  error
	}{
		"other":           {"GET / HTTP/1.1\r\n\r\n", parse.ErrNot},
		"other, framed":   {framed([]byte("hello")), parse.ErrNot},
		"encrypted":       {framed([]byte("\xfdSMB"), make([]byte, 60)), parse.ErrDone},
		"goes wrong":      {framed(negotiated(0x0311, 1)) + framed([]byte("hello")), parse.ErrMalformed},
		"large write":     {framed(header(9, false, 0), make([]byte, 1<<20)), nil},
		"large and wrong": {"\x00\xff\xff\xff" + string(header(3, false, 0)), nil},
	} {
		if _, err := run(t, parsetest.C(c.data)); err != c.err { //nolint:errorlint // the sentinel itself
			t.Errorf("%s: %v, want %v", title, err, c.err)
		}
	}
}

func TestBounded(t *testing.T) {
	t.Parallel()
	s, out := smb.New(), parse.NewOut(1000, 100_000)
	one := []byte(framed(connect(`\\files\aaaa`, 0)))
	for i := range 100_000 {
		s.Reset()
		binary.BigEndian.PutUint32(one[len(one)-8:], uint32(i))
		_, _ = s.Next(out, parse.Client, one)
		s.End(out)
	}
	if n := len(out.Records.SMB); n > 1000 || uint64(n)+out.Over != 100_000 {
		t.Errorf("%d rows, %d over", n, out.Over)
	}
}

func TestLinear(t *testing.T) {
	out, s := parsetest.NewOut(), smb.New()
	parsetest.Linear(t, 2000, func(n int) {
		// A security buffer full of marks that are none.
		b := append(header(1, false, 0), 25, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 88, 0, byte(n), byte(n>>8), 0, 0, 0, 0, 0, 0, 0, 0)
		b = append(b, bytes.Repeat([]byte("NTLMSSP"), n/7)...)
		_ = parsetest.Run(s, out, parsetest.Talk(smb.Port, parsetest.C(framed(b))), nil)
	})
}

func FuzzSMB(f *testing.F) {
	parsetest.FuzzStream(f, stream, append(parsetest.Conversations(f, "testdata/smb.pcap", network.TCP, smb.Port),
		parsetest.Conversations(f, "testdata/smb139.pcap", network.TCP, smb.PortNetBIOS)...)...)
}
