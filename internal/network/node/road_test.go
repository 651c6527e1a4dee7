package node

import (
	"crypto/tls"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/base/pki"
	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/report"
	"github.com/rind-project/rind/internal/network/report/reporttest"
	"github.com/rind-project/rind/internal/network/store"
	"github.com/rind-project/rind/internal/network/uplink"
)

// TestRoad takes reports along the whole road: encoded, spooled, sent over TLS
// with a pin to two nodes, one of which loses every third answer after the
// commit; the tap is killed twice on the way. What the queries give is what
// was reported, once.
func TestRoad(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		ca, err := pki.OpenCA(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		var lost atomic.Int64
		good, flaky := newNode(t, db, DefaultConfig()), newNode(t, db, DefaultConfig())
		urls := []string{serve(t, ca, flaky.Handler(), func(n int64) bool {
			if n%3 == 0 {
				lost.Add(1)
			}
			return n%3 == 0
		}), serve(t, ca, good.Handler(), func(int64) bool { return false })}
		token, err := good.Ingest().AddTap(t.Context(), "a", 0)
		if err != nil {
			t.Fatal(err)
		}

		dir, now := t.TempDir(), time.Now()
		var all []*network.Report
		for boot := range uint64(3) {
			spool, err := uplink.OpenSpool(uplink.SpoolConfig{Dir: dir})
			if err != nil {
				t.Fatal(err)
			}
			gap, err := spool.Begin(reporttest.Boot(boot), now.Add(time.Duration(boot)*time.Second))
			if err != nil {
				t.Fatal(err)
			}
			if (gap != nil) != (boot > 0) {
				t.Errorf("boot %d has the gap %+v", boot, gap)
			}
			for n := range uint64(10) {
				r := reporttest.New(boot*100+n, network.Identity{Tap: "a", Boot: reporttest.Boot(boot), Sequence: n + 1}, now, reporttest.Size{Flows: 30, DNS: 10, TLS: 5})
				if n == 0 {
					r.Gap = gap
				}
				body, err := report.Encode(r)
				if err != nil {
					t.Fatal(err)
				}
				if err := spool.Append(n+1, r.End, body); err != nil {
					t.Fatal(err)
				}
				all = append(all, r)
			}
			sender, err := uplink.NewSender(uplink.SenderConfig{URLs: urls, MinBackoff: time.Millisecond}, uplink.SenderDeps{
				Spool: spool, Token: func() (string, error) { return token, nil },
				TLS: func(host string) (*tls.Config, error) { return pki.ClientTLSFor(host, ca.Pin(), "") }})
			if err != nil {
				t.Fatal(err)
			}
			if boot == 1 { // nothing leaves before the second kill
				spool.Abandon()
				continue
			}
			if err := sender.Drain(t.Context(), 10, nil); err != nil {
				t.Fatal(err)
			}
			st := sender.Status()
			if n := spool.Stats(); n.Reports != 0 || n.Dropped != 0 || st.Quarantined != 0 {
				t.Errorf("the spool is %+v, the sender %+v", n, st)
			}
			if lost.Load() == 0 || st.Duplicates == 0 {
				t.Errorf("no answer was lost: %+v", st)
			}
			spool.Abandon()
		}
		checkRoad(t, good, all)
		taps, err := good.Ingest().Taps(t.Context())
		if err != nil || len(taps) != 1 || taps[0].LastGap == nil || taps[0].LastGap.Boot != reporttest.Boot(1) {
			t.Errorf("the taps are %+v, %v", taps, err)
		}
	})
}

// serve runs a node's handler over TLS; the answers that lose picks are cut
// off after the handler has done its work.
func serve(t *testing.T, ca *pki.CA, h http.Handler, lose func(n int64) bool) string {
	t.Helper()
	cert, err := ca.ServerCertificate([]string{"127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	var count atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if lose(count.Add(1)) {
			h.ServeHTTP(httptest.NewRecorder(), r)
			panic(http.ErrAbortHandler)
		}
		h.ServeHTTP(w, r)
	}))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	server.EnableHTTP2 = true
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	return server.URL
}

func checkRoad(t *testing.T, n *Node, all []*network.Report) {
	t.Helper()
	var want, got []network.Flow
	var bytes, packets int64
	for _, r := range all {
		want = append(want, r.Flows...)
		for _, f := range r.Flows {
			bytes += int64(f.SrcBytes + f.DstBytes)
			packets += int64(f.SrcPkts + f.DstPkts)
		}
	}
	flows, err := n.Store().Flows(t.Context(), store.FlowQuery{Limit: store.MaxRows})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range flows {
		got = append(got, f.Flow)
	}
	order := func(a, b network.Flow) int {
		if c := a.Start.Compare(b.Start); c != 0 {
			return c
		}
		return a.Source.Compare(b.Source)
	}
	slices.SortFunc(want, order)
	slices.SortFunc(got, order)
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Errorf("flows (-reported +stored):\n%.2000s", diff)
	}
	points, err := n.Store().Traffic(t.Context(), time.Time{}, time.Time{}, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	var sum store.TrafficPoint
	for _, p := range points {
		sum.Bytes, sum.Packets, sum.Flows = sum.Bytes+p.Bytes, sum.Packets+p.Packets, sum.Flows+p.Flows
	}
	if sum != (store.TrafficPoint{Bytes: bytes, Packets: packets, Flows: int64(len(want))}) {
		t.Errorf("the traffic is %+v, want %d bytes in %d packets", sum, bytes, packets)
	}
	taps, err := n.Ingest().Taps(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(taps) != 1 || taps[0].Reports != int64(len(all)) || taps[0].Loss.Reports != int64(len(all)) {
		t.Errorf("the taps are %+v", taps)
	}
}

// TestWrongPin shows that nothing leaves for a node that is not the pinned one.
func TestWrongPin(t *testing.T) {
	t.Parallel()
	ca, err := pki.OpenCA(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	other, err := pki.OpenCA(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	url := serve(t, ca, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a request came through") }), func(int64) bool { return false })
	spool, err := uplink.OpenSpool(uplink.SpoolConfig{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer spool.Abandon()
	if _, err := spool.Begin(reporttest.Boot(1), time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := spool.Append(1, time.Now(), []byte("x")); err != nil {
		t.Fatal(err)
	}
	sender, err := uplink.NewSender(uplink.SenderConfig{URLs: []string{url}, MinBackoff: time.Millisecond}, uplink.SenderDeps{
		Spool: spool, Token: func() (string, error) { return "t", nil },
		TLS: func(host string) (*tls.Config, error) { return pki.ClientTLSFor(host, other.Pin(), "") }})
	if err != nil {
		t.Fatal(err)
	}
	if err := sender.Drain(t.Context(), 2, nil); err == nil || spool.Stats().Reports != 1 {
		t.Errorf("it gives %v, %d reports stay", err, spool.Stats().Reports)
	}
}

// TestClockAnHourOff delivers from a tap whose clock is wrong. It is told what
// to do, nothing changes, and nothing is lost: once the clock is set, the
// report arrives.
func TestClockAnHourOff(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		ca, err := pki.OpenCA(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		n := newNode(t, db, DefaultConfig())
		url := serve(t, ca, n.Handler(), func(int64) bool { return false })
		token, err := n.Ingest().AddTap(t.Context(), "a", 0)
		if err != nil {
			t.Fatal(err)
		}
		spool, err := uplink.OpenSpool(uplink.SpoolConfig{Dir: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		defer spool.Abandon()
		if _, err := spool.Begin(reporttest.Boot(1), time.Now()); err != nil {
			t.Fatal(err)
		}
		r := reporttest.New(1, network.Identity{Tap: "a", Boot: reporttest.Boot(1), Sequence: 1}, time.Now(), reporttest.Size{Flows: 30})
		body, err := report.Encode(r)
		if err != nil {
			t.Fatal(err)
		}
		if err := spool.Append(1, r.End, body); err != nil {
			t.Fatal(err)
		}
		var off time.Duration
		sender, err := uplink.NewSender(uplink.SenderConfig{URLs: []string{url}, MinBackoff: time.Millisecond}, uplink.SenderDeps{
			Spool: spool, Token: func() (string, error) { return token, nil },
			Now: func() time.Time { return time.Now().Add(off) },
			TLS: func(host string) (*tls.Config, error) { return pki.ClientTLSFor(host, ca.Pin(), "") }})
		if err != nil {
			t.Fatal(err)
		}
		for _, off = range []time.Duration{time.Hour, -time.Hour} {
			err := sender.Drain(t.Context(), 2, nil)
			if err == nil || !strings.Contains(err.Error(), "this tap's clock is ") || !strings.Contains(err.Error(), "set the one that is wrong") {
				t.Errorf("%s off: %v", off, err)
			}
			if spool.Stats().Reports != 1 || spool.Stats().Quarantined != 0 || sender.Status().Denied {
				t.Errorf("%s off: the spool is %+v, the sender %+v", off, spool.Stats(), sender.Status())
			}
			if skew := sender.Status().Skew; (skew + off).Abs() > time.Minute {
				t.Errorf("%s off: it sees the node %s ahead", off, skew)
			}
			if flows, err := n.Store().Flows(t.Context(), store.FlowQuery{Limit: 1}); err != nil || len(flows) != 0 {
				t.Errorf("%s off: %d flows are there, %v", off, len(flows), err)
			}
		}
		off = 0
		if err := sender.Drain(t.Context(), 2, nil); err != nil {
			t.Fatal(err)
		}
		checkRoad(t, n, []*network.Report{r})
	})
}
