package api

import (
	"context"
	"net/http"
	"time"

	"github.com/rind-project/rind/internal/access"
	"github.com/rind-project/rind/internal/api/wire"
	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/store"
)

func (a *API) telemetryRoutes() []access.Route {
	return []access.Route{
		route(a, op[wire.FlowsIn, wire.FlowsOut]{
			method: http.MethodGet, path: "/flows", need: access.NeedViewer,
			summary: "list flows, from new to old; of the last hour without from and to", run: a.listFlows,
		}),
		route(a, op[wire.DNSIn, wire.DNSOut]{
			method: http.MethodGet, path: "/dns", need: access.NeedViewer,
			summary: "list DNS queries, from new to old; of the last hour without from and to", run: a.listDNS,
		}),
		route(a, op[wire.TLSIn, wire.TLSOut]{
			method: http.MethodGet, path: "/tls", need: access.NeedViewer,
			summary: "list TLS hellos, from new to old; of the last hour without from and to", run: a.listTLS,
		}),
		route(a, op[wire.Empty, wire.KindsOut]{
			method: http.MethodGet, path: "/records", need: access.NeedViewer,
			summary: "list the kinds of records with their columns, and what there is of each", run: a.listKinds,
		}),
		route(a, op[wire.RecordsIn, wire.RecordsOut]{
			method: http.MethodGet, path: "/records/{kind}", need: access.NeedViewer,
			summary: "list records of one kind, from new to old; of the last hour without from and to", run: a.listRecords,
		}),
		route(a, op[wire.Empty, wire.StorageOut]{
			method: http.MethodGet, path: "/storage", need: access.NeedViewer,
			summary: "show what each kind of record takes, and which rows go next and when", run: a.showStorage,
		}),
		route(a, op[wire.TrafficIn, wire.TrafficOut]{
			method: http.MethodGet, path: "/traffic", need: access.NeedViewer,
			summary: "show the traffic over time", run: a.showTraffic,
		}),
		route(a, op[wire.TalkersIn, wire.TalkersOut]{
			method: http.MethodGet, path: "/top-talkers", need: access.NeedViewer,
			summary: "list the addresses with the most traffic", run: a.listTalkers,
		}),
		route(a, op[wire.Empty, wire.OverviewOut]{
			method: http.MethodGet, path: "/overview", need: access.NeedViewer,
			summary: "show the state of both planes in numbers", run: a.showOverview,
		}),
	}
}

// span resolves a range of time. Both ends may be left out.
func (a *API) span(from, to wire.When) (time.Time, time.Time, error) {
	now := a.deps.Now().UTC()
	end := to.Or(now, now)
	begin := from.Or(now, end.Add(-store.DefaultRange))
	if !begin.Before(end) {
		return begin, end, errs.New(errs.Invalid, "the range is empty: from (%s) must lie before to (%s)", begin.Format(time.RFC3339), end.Format(time.RFC3339))
	}
	return begin, end, nil
}

func (a *API) listFlows(ctx context.Context, _ *http.Request, in wire.FlowsIn) (wire.FlowsOut, error) {
	n, from, to, tap, err := a.telemetry(in.Range)
	if err != nil {
		return wire.FlowsOut{}, err
	}
	proto, err := parseProto(in.Proto)
	if err != nil {
		return wire.FlowsOut{}, err
	}
	tunnel, ok := network.ParseTunnel(in.Tunnel)
	if !ok && in.Tunnel != "" {
		return wire.FlowsOut{}, errs.New(errs.Invalid, "tunnel is %q: it is vxlan, geneve, gre, erspan, ipip, mpls, pppoe or ppp", in.Tunnel)
	}
	rows, err := n.Flows(ctx, store.FlowQuery{
		From: from, To: to, Addr: in.Addr.Prefix, Port: in.Port, Proto: proto, App: in.App, Tunnel: tunnel,
		Country: in.Country, AS: in.AS, Name: in.Name,
		Tap: tap, Limit: in.Limit, Before: store.Cursor(in.Before),
	})
	page, next := paged(rows, in.Limit)
	return wire.FlowsOut{Flows: page, Next: next}, err
}

func (a *API) listDNS(ctx context.Context, _ *http.Request, in wire.DNSIn) (wire.DNSOut, error) {
	n, from, to, tap, err := a.telemetry(in.Range)
	if err != nil {
		return wire.DNSOut{}, err
	}
	rows, err := n.DNS(ctx, store.DNSQuery{
		From: from, To: to, Addr: in.Addr.Prefix, Name: in.Name, Type: in.Type, Via: in.Via, Domain: in.Domain,
		Tap: tap, Limit: in.Limit, Before: store.Cursor(in.Before),
	})
	page, next := paged(rows, in.Limit)
	return wire.DNSOut{DNS: page, Next: next}, err
}

func (a *API) listTLS(ctx context.Context, _ *http.Request, in wire.TLSIn) (wire.TLSOut, error) {
	n, from, to, tap, err := a.telemetry(in.Range)
	if err != nil {
		return wire.TLSOut{}, err
	}
	rows, err := n.TLS(ctx, store.TLSQuery{
		From: from, To: to, Addr: in.Addr.Prefix, Name: in.Name, Fingerprint: in.Fingerprint,
		Tap: tap, Limit: in.Limit, Before: store.Cursor(in.Before),
	})
	page, next := paged(rows, in.Limit)
	return wire.TLSOut{TLS: page, Next: next}, err
}

// telemetry checks what all lists take.
func (a *API) telemetry(in wire.Range) (n Network, from, to time.Time, tap network.TapID, err error) {
	if n, err = a.network(); err != nil {
		return
	}
	if from, to, err = a.span(in.From, in.To); err != nil {
		return
	}
	if in.Tap != "" {
		tap, err = tapID(in.Tap)
	}
	return
}

// paged gives the cursor of the next page. A full page may be the last one;
// the page after it is then empty.
func paged[T interface{ Cursor() store.Cursor }](rows []T, limit int) ([]T, *wire.Cursor) {
	page, _ := cut(rows, limit)
	if len(page) < limit {
		return page, nil
	}
	next := wire.Cursor(page[len(page)-1].Cursor())
	return page, &next
}

// parseProto reads the name or the number of an IP protocol.
func parseProto(s string) (network.Proto, error) {
	if s == "" {
		return 0, nil
	}
	p, ok := network.ParseProto(s)
	if !ok {
		return 0, errs.New(errs.Invalid, "parameter \"proto\": %.64q is not tcp, udp, icmp, icmpv6 or a number from 1 to 255", s)
	}
	return p, nil
}

func (a *API) showTraffic(ctx context.Context, _ *http.Request, in wire.TrafficIn) (wire.TrafficOut, error) {
	n, err := a.network()
	if err != nil {
		return wire.TrafficOut{}, err
	}
	from, to, err := a.span(in.From, in.To)
	if err != nil {
		return wire.TrafficOut{}, err
	}
	bucket := time.Duration(in.Bucket)
	if bucket == 0 {
		bucket = max(time.Minute, to.Sub(from).Truncate(time.Hour)/60)
	}
	if bucket < time.Minute || bucket%time.Minute != 0 {
		return wire.TrafficOut{}, errs.New(errs.Invalid, "parameter \"bucket\": %s is not a whole number of minutes, at least 1m", bucket)
	}
	if to.Sub(from)/bucket >= store.MaxBuckets {
		return wire.TrafficOut{}, errs.New(errs.Invalid, "the range has over %d points of %s; give a wider bucket", store.MaxBuckets, bucket)
	}
	points, err := n.Traffic(ctx, from, to, bucket)
	points, _ = cut(points, len(points))
	return wire.TrafficOut{From: from, To: to, Bucket: wire.Span(bucket), Traffic: points}, err
}

func (a *API) listTalkers(ctx context.Context, _ *http.Request, in wire.TalkersIn) (wire.TalkersOut, error) {
	n, err := a.network()
	if err != nil {
		return wire.TalkersOut{}, err
	}
	from, to, err := a.span(in.From, in.To)
	if err != nil {
		return wire.TalkersOut{}, err
	}
	talkers, err := n.TopTalkers(ctx, from, to, in.Limit)
	page, _ := cut(talkers, in.Limit)
	return wire.TalkersOut{From: from, To: to, Talkers: page}, err
}
