package tls_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rind-project/rind/internal/network/packet/packettest"
	"github.com/rind-project/rind/internal/network/packet/tls"
)

type want struct {
	Version uint16
	SNI     string
	ALPN    []string
}

func show(h *tls.Hello) want {
	w := want{Version: h.Version, SNI: string(h.SNI)}
	for _, a := range h.ALPN[:h.NumALPN] {
		w.ALPN = append(w.ALPN, string(a))
	}
	return w
}

func vec(width int, parts ...string) string {
	s := strings.Join(parts, "")
	b := make([]byte, 2)
	binary.BigEndian.PutUint16(b, uint16(len(s)))
	return string(b[2-width:]) + s
}

func ext(typ uint16, data string) string {
	return string([]byte{byte(typ >> 8), byte(typ)}) + vec(2, data)
}

// hello is a ClientHello message with the extensions; record wraps it.
func hello(version string, extensions ...string) string {
	body := version + strings.Repeat("r", 32) + vec(1, "session") + vec(2, "\x13\x01") + vec(1, "\x00")
	if extensions != nil {
		body += vec(2, extensions...)
	}
	return "\x01\x00" + vec(2, body)
}

func record(body string) string { return "\x16\x03\x01" + vec(2, body) }

func sni(name string) string { return ext(0, vec(2, "\x00"+vec(2, name))) }

func TestParse(t *testing.T) {
	t.Parallel()
	full := hello("\x03\x03", ext(0x0a0a, ""), sni("WWW.Example.org"), ext(16, vec(2, vec(1, "\x0a\x0a"), vec(1, "h2"), vec(1, "http/1.1"))),
		ext(43, vec(1, "\xaa\xaa", "\x03\x04", "\x03\x03")))
	split := record(full[:3]) + record(full[3:50]) + record(full[50:])
	parsed := want{0x0304, "WWW.Example.org", []string{"h2", "http/1.1"}}
	for name, c := range map[string]struct {
		in   string
		want want
		err  error
	}{
		"everything":                {record(full), parsed, nil},
		"over three records":        {split, parsed, nil},
		"with more behind":          {record(full) + "\x14\x03\x03\x00\x01\x01", parsed, nil},
		"no extensions":             {record(hello("\x03\x01")), want{Version: 0x0301}, nil},
		"tls 1.2":                   {record(hello("\x03\x03", sni("a"))), want{Version: 0x0303, SNI: "a"}, nil},
		"draft of 1.3":              {record(hello("\x03\x03", ext(43, vec(1, "\x7f\x1c", "\x03\x03")))), want{Version: 0x7f1c}, nil},
		"1.3 beats its draft":       {record(hello("\x03\x03", ext(43, vec(1, "\x7f\x1c", "\x03\x04")))), want{Version: 0x0304}, nil},
		"only grease versions":      {record(hello("\x03\x03", ext(43, vec(1, "\x1a\x1a")))), want{Version: 0x0303}, nil},
		"empty name":                {record(hello("\x03\x03", sni(""))), want{Version: 0x0303}, nil},
		"name of 256":               {record(hello("\x03\x03", sni(strings.Repeat("a", 256)))), want{Version: 0x0303}, nil},
		"broken server name":        {record(hello("\x03\x03", ext(0, "\xff\xff\x00\x00\x01a"), sni("b"))), want{Version: 0x0303, SNI: "b"}, nil},
		"twelve protocols":          {record(hello("\x03\x03", ext(16, vec(2, strings.Repeat("\x01x", 12))))), want{0x0303, "", []string{"x", "x", "x", "x", "x", "x", "x", "x"}}, nil},
		"first bytes":               {record(full)[:4], want{}, tls.ErrMore},
		"all but one byte":          {record(full)[:len(record(full))-1], want{}, tls.ErrMore},
		"two of three records":      {split[:8+50+2], want{}, tls.ErrMore},
		"empty record":              {record(""), want{}, tls.ErrNotTLS},
		"server hello":              {record("\x02\x00\x00\x01x"), want{}, tls.ErrNotTLS},
		"application data":          {"\x17\x03\x03\x00\x01x", want{}, tls.ErrNotTLS},
		"other record in between":   {split[:8] + "\x17\x03\x03\x00\x01x", want{}, tls.ErrNotTLS},
		"record too long":           {"\x16\x03\x01\xff\xff", want{}, tls.ErrNotTLS},
		"message longer than limit": {record("\x01\x01\x00\x00"), want{}, tls.ErrTooLong},
		"session id past the end":   {record("\x01\x00" + vec(2, "\x03\x03"+strings.Repeat("r", 32)+"\xff")), want{Version: 0x0303}, tls.ErrBroken},
		"extension past the end":    {record(hello("\x03\x03", sni("a"), "\x00\x10\xff\xff")), want{Version: 0x0303, SNI: "a"}, tls.ErrBroken},
		"version 2":                 {record(hello("\x02\x00")), want{}, tls.ErrBroken},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var h tls.Hello
			if err := h.Parse([]byte(c.in)); !errors.Is(err, c.err) {
				t.Fatalf("%v, want %v", err, c.err)
			}
			if diff := cmp.Diff(c.want, show(&h)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestStandardLibrary reads what a real client sends, at every length: until
// the last byte is there it is not all there.
func TestStandardLibrary(t *testing.T) {
	t.Parallel()
	b := packettest.ClientHello("host.example.net", "h2", "http/1.1")
	var h tls.Hello
	for n := range len(b) {
		if err := h.Parse(b[:n]); !errors.Is(err, tls.ErrMore) {
			t.Fatalf("%d of %d bytes: %v", n, len(b), err)
		}
		if n >= 6 {
			if hs, client := tls.LooksLike(b[:n]); !hs || !client {
				t.Fatalf("%d bytes do not look like it", n)
			}
		}
	}
	if err := h.Parse(b); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want{0x0304, "host.example.net", []string{"h2", "http/1.1"}}, show(&h)); diff != "" {
		t.Error(diff)
	}
	if n := testing.Benchmark(func(b2 *testing.B) {
		b2.ReportAllocs()
		for b2.Loop() {
			h.Parse(b)
		}
	}).AllocsPerOp(); n != 0 {
		t.Errorf("%d allocations", n)
	}
}

// TestLinear puts a ClientHello into records of a few bytes each; four times
// as many may take four times as long, not sixteen.
func TestLinear(t *testing.T) {
	build := func(n int) []byte {
		msg := hello("\x03\x03", sni("a"), ext(21, strings.Repeat("\x00", n)))
		var out bytes.Buffer
		for len(msg) > 0 {
			k := min(4, len(msg))
			out.WriteString(record(msg[:k]))
			msg = msg[k:]
		}
		return out.Bytes()
	}
	measure := func(b []byte) time.Duration {
		var h tls.Hello
		best := time.Hour
		for range 20 {
			start := time.Now()
			for range 50 {
				if err := h.Parse(b); err != nil {
					t.Fatal(err)
				}
			}
			best = min(best, time.Since(start))
		}
		return best
	}
	one, four := measure(build(1500)), measure(build(6000))
	if four > 10*one+100*time.Microsecond {
		t.Errorf("four times the bytes take %v instead of %v", four, one)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(packettest.ClientHello("host.example.net", "h2"))
	f.Add([]byte(record(hello("\x03\x03", sni("a"), ext(43, vec(1, "\x0a\x0a\x03\x04"))))))
	f.Add([]byte(record("\x01\x00\x00") + record("\x04\x03\x03\x00\x00")))
	f.Fuzz(func(t *testing.T, b []byte) {
		var h tls.Hello
		err := h.Parse(b)
		if len(h.SNI) > 255 || h.NumALPN > tls.MaxALPN {
			t.Errorf("name of %d bytes, %d protocols", len(h.SNI), h.NumALPN)
		}
		if errors.Is(err, tls.ErrMore) && len(b) < tls.MaxHello && tls.Need(b) < 5 {
			t.Errorf("needs %d", tls.Need(b))
		}
		// What is decided does not change when more comes.
		if err == nil {
			first := show(&h)
			if err := h.Parse(append(b, "more"...)); err != nil || cmp.Diff(first, show(&h)) != "" {
				t.Errorf("with more behind: %v", err)
			}
		}
	})
}
