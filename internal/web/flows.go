package web

import (
	"fmt"
	"math"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/store"
	"github.com/rind-project/rind/internal/web/page"
	"github.com/rind-project/rind/internal/web/ui"
)

// listView is what the pages of flows, DNS and TLS share.
type listView struct {
	paging
	Window windowView
	Filter filter
}

// Join makes one text of several for a cell.
func (listView) Join(all []string) string { return strings.Join(all, ", ") }

// listing reads what every list is asked by. Live is off for an older page,
// which does not change.
func (w *Web) listing(r *http.Request, fields ...field) (listView, ui.Window, store.Cursor) {
	win, picker, err := w.window(r)
	v := listView{Window: picker, Filter: newFilter(r, fields...)}
	v.Filter.fault(err)
	before, err := cursor(r)
	v.Filter.fault(err)
	return v, win, before
}

// showList renders a list and keeps it live while it shows the present.
func (w *Web) showList(rw http.ResponseWriter, r *http.Request, title, name string, live bool, data any) error {
	s := w.sheet(r, title, "/"+name)
	if live {
		follow(&s, []string{topicNetwork}, "rows")
	}
	s.Data = data
	return w.pages.Render(rw, r, http.StatusOK, name, s)
}

// flowsView is the data of the page of flows.
type flowsView struct {
	listView
	Rows []flowRow
}

// flowRow is a flow as a row of a table.
type flowRow struct {
	Start                time.Time
	Source, Dest         netip.Addr
	SourcePort, DestPort string
	Proto, App, State    string
	Sent, Received       uint64
	Packets              uint64
	Took                 time.Duration
	RTT                  time.Duration // of the handshake; 0 is not seen
	Retransmitted        uint64
	Tunnel               string // what it was carried in, with its id
	Tap                  network.TapID
	CommunityID          string
	AboutSource          string // name, country, autonomous system, vendor
	AboutDest            string
}

// Odd reports whether a state says that the connection was refused. A reset is
// how many programs end one that went well.
func (flowsView) Odd(state string) bool { return state == network.TCPRejected.String() }

var protocols = []page.Pair{{Key: "", Value: "any"}, {Key: "6", Value: "TCP"}, {Key: "17", Value: "UDP"}, {Key: "1", Value: "ICMP"}, {Key: "58", Value: "ICMPv6"}}

func (w *Web) flows(rw http.ResponseWriter, r *http.Request) error {
	if w.Traffic == nil {
		return off("the node is")
	}
	list, win, before := w.listing(r,
		field{Name: "addr", Label: "Address or network", Example: "192.0.2.0/24", Grow: true},
		field{Name: "port", Label: "Port", Example: "443"},
		field{Name: "proto", Label: "Protocol", Options: protocols},
		field{Name: "app", Label: "Application", Example: "tls"},
		field{Name: "name", Label: "Name", Example: "*.example.com"},
		field{Name: "country", Label: "Country", Example: "DE"},
		field{Name: "as", Label: "Autonomous system", Example: "64500"},
		field{Name: "tap", Label: "Tap", Example: "office"})
	v := flowsView{listView: list}
	q := store.FlowQuery{From: win.From, To: win.To, App: v.Filter.value("app"), Tap: network.TapID(v.Filter.value("tap")), Limit: pageRows, Before: before}
	q.Addr = v.Filter.network("addr")
	q.Name, q.Country = v.Filter.value("name"), v.Filter.value("country")
	q.AS = uint32(v.Filter.number("as", math.MaxUint32))
	q.Port = uint16(v.Filter.number("port", 65535))
	q.Proto = network.Proto(v.Filter.number("proto", 255))
	if v.Filter.Error == "" {
		rows, err := w.Traffic.Flows(r.Context(), q)
		if err != nil {
			return fmt.Errorf("listing the flows: %w", err)
		}
		for _, f := range rows {
			v.Rows = append(v.Rows, newFlowRow(f))
		}
		if n := len(rows); n > 0 {
			v.paging = newPaging(r, n, n == pageRows, rows[n-1].Cursor())
		}
	}
	return w.showList(rw, r, "Flows", "flows", win.Live() && before == store.Cursor{}, v)
}

func newFlowRow(f store.Flow) flowRow {
	row := flowRow{
		Start: f.Start, Source: f.Source, Dest: f.Dest, Proto: ui.Proto(f.Proto), App: f.App, State: strings.ReplaceAll(f.State.String(), "_", " "),
		Sent: f.SrcBytes, Received: f.DstBytes, Packets: f.SrcPkts + f.DstPkts, Took: f.End.Sub(f.Start), Tap: f.Tap, CommunityID: f.CommunityID,
		AboutSource: f.AboutSource(), AboutDest: f.AboutDest(),
	}
	if f.ClientRTT > 0 && f.ServerRTT > 0 {
		row.RTT = f.ClientRTT + f.ServerRTT
	}
	row.Retransmitted = uint64(f.SrcRetrans) + uint64(f.DstRetrans)
	if f.Tunnel != network.TunnelNone {
		row.Tunnel = f.Tunnel.String() + " " + strconv.FormatUint(uint64(f.TunnelID), 10)
	}
	// The ports of ICMP are types and codes, which a colon would misname.
	if f.Proto == network.TCP || f.Proto == network.UDP || f.Proto == network.SCTP {
		row.SourcePort, row.DestPort = strconv.Itoa(int(f.SrcPort)), strconv.Itoa(int(f.DstPort))
	}
	return row
}

// network reads an address or a network; the empty text is every address.
func (f *filter) network(name string) netip.Prefix {
	text := f.value(name)
	if text == "" {
		return netip.Prefix{}
	}
	if a, err := netip.ParseAddr(text); err == nil && a.Zone() == "" {
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen())
	}
	p, err := netip.ParsePrefix(text)
	if err != nil || p.Addr().Is4In6() {
		f.bad(name, errs.New(errs.Invalid, "%q is not an address; write 192.0.2.7, 2001:db8::7 or a network such as 192.0.2.0/24", ui.Visible(text)))
		return netip.Prefix{}
	}
	return p.Masked()
}

// number reads a whole number from 1 to most; the empty text is 0.
func (f *filter) number(name string, most int) int {
	text := f.value(name)
	if text == "" {
		return 0
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > most {
		f.bad(name, errs.New(errs.Invalid, "%q is not a number from 1 to %d", ui.Visible(text), most))
		return 0
	}
	return n
}
