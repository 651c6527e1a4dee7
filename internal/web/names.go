package web

import (
	"cmp"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/store"
	"github.com/rind-project/rind/internal/web/page"
	"github.com/rind-project/rind/internal/web/ui"
)

// dnsView is the data of the page of DNS queries.
type dnsView struct {
	listView
	Rows []store.DNS
}

var dnsTypes = []page.Pair{
	{Key: "", Value: "any"}, {Key: "1", Value: "A"}, {Key: "28", Value: "AAAA"}, {Key: "65", Value: "HTTPS"}, {Key: "5", Value: "CNAME"}, {Key: "12", Value: "PTR"},
	{Key: "15", Value: "MX"}, {Key: "2", Value: "NS"}, {Key: "33", Value: "SRV"}, {Key: "16", Value: "TXT"}, {Key: "6", Value: "SOA"}, {Key: "255", Value: "ANY"},
}

var dnsVias = []page.Pair{
	{Key: "", Value: "any"}, {Key: network.ViaDNS, Value: "DNS"}, {Key: network.ViaMDNS, Value: "mDNS"}, {Key: network.ViaLLMNR, Value: "LLMNR"}, {Key: network.ViaNBNS, Value: "NetBIOS"},
}

func (w *Web) dns(rw http.ResponseWriter, r *http.Request) error {
	if w.Traffic == nil {
		return off("the node is")
	}
	list, win, before := w.listing(r,
		field{Name: "name", Label: "Name, or .domain for all below it", Example: ".example.org", Grow: true},
		field{Name: "addr", Label: "Client or server", Example: "192.0.2.0/24"},
		field{Name: "type", Label: "Type", Options: dnsTypes},
		field{Name: "via", Label: "Via", Options: dnsVias},
		field{Name: "domain", Label: "Registered domain", Example: "example.org"},
		field{Name: "tap", Label: "Tap", Example: "office"})
	v := dnsView{listView: list}
	q := store.DNSQuery{From: win.From, To: win.To, Name: asName(v.Filter.value("name")), Tap: network.TapID(v.Filter.value("tap")), Limit: pageRows, Before: before}
	q.Addr = v.Filter.network("addr")
	q.Type = uint16(v.Filter.number("type", 65535))
	q.Via, q.Domain = v.Filter.value("via"), asName(v.Filter.value("domain"))
	if v.Filter.Error == "" {
		var err error
		if v.Rows, err = w.Traffic.DNS(r.Context(), q); err != nil {
			return fmt.Errorf("listing the DNS queries: %w", err)
		}
		if n := len(v.Rows); n > 0 {
			v.paging = newPaging(r, n, n == pageRows, v.Rows[n-1].Cursor())
		}
	}
	return w.showList(rw, r, "DNS", "dns", win.Live() && before == store.Cursor{}, v)
}

// tlsView is the data of the page of TLS handshakes.
type tlsView struct {
	listView
	Rows []store.TLS
}

// Version is the version that the server chose, else the highest offered.
func (tlsView) Version(t store.TLS) uint16 { return cmp.Or(t.Chosen, t.Version) }

// Protocol is the ALPN that the server chose, else those offered.
func (v tlsView) Protocol(t store.TLS) string { return cmp.Or(t.Protocol, v.Join(t.ALPN)) }

// Validity is that of the certificate.
func (tlsView) Validity(t store.TLS) string {
	return t.NotBefore.Format(time.DateOnly) + " to " + t.NotAfter.Format(time.DateOnly)
}

func (w *Web) tls(rw http.ResponseWriter, r *http.Request) error {
	if w.Traffic == nil {
		return off("the node is")
	}
	list, win, before := w.listing(r,
		field{Name: "name", Label: "Server name, or .domain for all below it", Example: ".example.org", Grow: true},
		field{Name: "addr", Label: "Client or server", Example: "192.0.2.0/24"},
		field{Name: "fingerprint", Label: "JA4, JA3, JA3S or certificate SHA-256", Example: "t13d1516h2_8daaf6152771_e5627efa2ab1"},
		field{Name: "tap", Label: "Tap", Example: "office"})
	v := tlsView{listView: list}
	q := store.TLSQuery{From: win.From, To: win.To, Name: asName(v.Filter.value("name")), Fingerprint: v.Filter.value("fingerprint"), Tap: network.TapID(v.Filter.value("tap")), Limit: pageRows, Before: before}
	q.Addr = v.Filter.network("addr")
	if v.Filter.Error == "" {
		var err error
		if v.Rows, err = w.Traffic.TLS(r.Context(), q); err != nil {
			return fmt.Errorf("listing the TLS handshakes: %w", err)
		}
		if n := len(v.Rows); n > 0 {
			v.paging = newPaging(r, n, n == pageRows, v.Rows[n-1].Cursor())
		}
	}
	return w.showList(rw, r, "TLS", "tls", win.Live() && before == store.Cursor{}, v)
}

// asName writes a typed name as the taps do: lower case, no dot at its end.
func asName(s string) string {
	kept, _ := ui.Cut(strings.ToLower(s), 255)
	return strings.TrimSuffix(kept, ".")
}
