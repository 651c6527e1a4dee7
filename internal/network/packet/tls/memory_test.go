package tls_test

import (
	stdtls "crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/packet/parse"
	"github.com/rind-project/rind/internal/network/packet/parse/parsetest"
	"github.com/rind-project/rind/internal/network/packet/tls"
)

// TestRemembered: what is remembered of a hello is what would be made of it,
// also of hellos that differ in little, in several reports and when a report
// has no room for texts.
func TestRemembered(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	some := func(of ...string) string { return of[r.IntN(len(of))] }
	var memory, plain tls.Printer
	outs := [2]*parse.Out{parsetest.NewOut(), parsetest.NewOut()}
	seen := map[string]bool{}
	for i := range 20_000 {
		if i%1000 == 0 {
			size := 1 << 20
			if i%3000 == 0 {
				size = 40 // no room for more than one text
			}
			memory = tls.NewMemory().NewPrinter() // of one Out
			outs = [2]*parse.Out{parse.NewOut(1000, size), parse.NewOut(1000, size)}
		} else if i%100 == 0 {
			outs[0].Cut()
			outs[1].Cut()
		}
		msg := offer(some("", "1a1a", "1301", "1301,1302", "0a0a,1302,1301", strings.Repeat("1301,", 600)+"1302"),
			some("0000,002b", "002b,0000", "0a0a,002b", "0010", "0010,6832", "000d,0010,0000", "000d", strings.Repeat("3a3a,", 1100)+"0017", strings.Repeat("0017,", 300)+"0000"),
			some("", "0403", "1a1a", "0403,0804"), some("h2", "hh2", "http/1.1", "\x00"))
		var h tls.Hello
		if err := h.Message(msg); err != nil {
			t.Fatal(err)
		}
		transport := byte(tls.OverTCP)
		if r.IntN(2) == 0 {
			transport = tls.OverQUIC
		}
		var rows [2]network.TLSHello
		memory.Fill(outs[0], &rows[0], &h, transport)
		plain.Fill(outs[1], &rows[1], &h, transport)
		if diff := cmp.Diff(rows[1], rows[0], addrs); diff != "" {
			t.Fatalf("hello %d, %x: %s", i, msg, diff)
		}
		seen[rows[0].JA3+rows[0].JA4] = true
	}
	if len(seen) < 200 {
		t.Errorf("%d different hellos are too few to tell", len(seen))
	}
}

// TestServersRemembered: streams that share a memory give the rows of streams
// that do not.
func TestServersRemembered(t *testing.T) {
	t.Parallel()
	ch := record(hello("\x03\x03", sni("a"), ext(43, vec(1, "\x03\x04"))))
	memory := tls.NewMemory()
	for i := range 2000 {
		exts := ""
		for range i % 3 {
			exts += ext(uint16(0x1a1a+i%5), "")
		}
		sh := record("\x02\x00" + vec(2, "\x03\x03"+strings.Repeat("s", 32)+vec(1, "")+fmt.Sprintf("\x13%c\x00", byte(1+i%7))+vec(2, exts)))
		var rows [2]network.TLSHello
		for j, s := range []parse.Stream{memory.NewStream(), new(tls.Stream)} {
			out := parsetest.NewOut()
			if err := parsetest.Run(s, out, parsetest.Talk(443, parsetest.C(ch), parsetest.S(sh)), nil); err != nil && !errors.Is(err, parse.ErrDone) {
				t.Fatal(err)
			}
			rows[j] = out.TLS[0]
		}
		if diff := cmp.Diff(rows[1], rows[0], addrs); diff != "" || len(rows[0].JA3S) != 32 {
			t.Fatalf("server %d: %s", i, diff)
		}
	}
}

// TestCertificatesRemembered: certificates that were met before say the same,
// in every report, and so do those whose place another one took.
func TestCertificatesRemembered(t *testing.T) {
	t.Parallel()
	var talks []parsetest.Conversation
	for i := range 40 {
		cert := template()
		cert.Subject.CommonName = fmt.Sprintf("host%d.example", i)
		cert.SerialNumber.SetInt64(int64(i + 1))
		cert.DNSNames = cert.DNSNames[:i%3]
		talks = append(talks, shake(t, &stdtls.Config{InsecureSkipVerify: true, ServerName: "a.example", MaxVersion: stdtls.VersionTLS12},
			&stdtls.Config{Certificates: []stdtls.Certificate{issue(t, cert)}}))
	}
	s, plain := tls.NewMemory().NewStream(), new(tls.Stream)
	outs := [2]*parse.Out{parse.NewOut(1000, 1<<20), parse.NewOut(1000, 1<<20)}
	for i := range 400 {
		if i%150 == 149 {
			outs[0].CutInto(new(network.Report))
			outs[1].CutInto(new(network.Report))
		}
		var rows [2]network.TLSHello
		for j, stream := range []parse.Stream{s, plain} {
			if err := parsetest.Run(stream, outs[j], talks[i*7%len(talks)], nil); err != nil && !errors.Is(err, parse.ErrDone) {
				t.Fatal(err)
			}
			rows[j] = outs[j].TLS[len(outs[j].TLS)-1]
		}
		if diff := cmp.Diff(rows[1], rows[0], addrs); diff != "" || len(rows[0].Fingerprint) != 64 {
			t.Fatalf("connection %d: %s", i, diff)
		}
	}
	small := parse.NewOut(1000, 80) // has room for a fingerprint
	for range 3 {
		if err := parsetest.Run(s, small, talks[0], nil); err != nil && !errors.Is(err, parse.ErrDone) {
			t.Fatal(err)
		}
	}
	if len(small.TLS) != 0 || small.Over != 3 {
		t.Errorf("%d rows, %d left out of a report without room", len(small.TLS), small.Over)
	}
}
