package store

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/flow"
)

// Flows returns flows from new to old.
func (s *Store) Flows(ctx context.Context, q FlowQuery) ([]Flow, error) {
	var w where
	w.tap(q.Tap)
	w.addr(q.Addr, "src", "dst")
	if q.Port != 0 {
		w.and("(src_port = ? OR dst_port = ?)", int64(q.Port), int64(q.Port))
	}
	if q.Proto != 0 {
		w.and("proto = ?", int64(q.Proto))
	}
	if q.App != "" {
		w.and("app = ?", database.Text(q.App))
	}
	if q.Tunnel != network.TunnelNone {
		w.and("tunnel = ?", int64(q.Tunnel))
	}
	w.enriched(q)
	out, err := newest(ctx, s, partOf("flows"), names(flowColumns), &w, s.pageOf(q.From, q.To, q.Before, q.Limit), scanFlow)
	if err != nil {
		return nil, fmt.Errorf("listing flows: %w", err)
	}
	for i := range out {
		s.tell(&out[i])
	}
	return out, nil
}

func scanFlow(row scanner) (f Flow, err error) {
	var start, end, client, server int64
	var src, dst, srcMAC, dstMAC []byte
	var seed uint16
	var more nullEnrichment
	err = row.Scan(append([]any{&f.ID, &f.Tap, &start, &end, &src, &dst, &f.SrcPort, &f.DstPort, &f.Proto, &f.VLAN, &f.InnerVLAN,
		&srcMAC, &dstMAC, &f.SrcPkts, &f.DstPkts, &f.SrcBytes, &f.DstBytes, &f.SrcFlags, &f.DstFlags, &f.State, &f.App, &f.Ended, &seed,
		&f.Tunnel, &f.TunnelID, &f.SrcTTL, &f.DstTTL, &client, &server, &f.SrcRetrans, &f.DstRetrans, &f.SrcZeroWin, &f.DstZeroWin, &f.Fingerprint}, more.dest()...)...)
	if err != nil {
		return f, err
	}
	f.Start, f.End, f.Enrichment = micros(start), micros(end), more.value()
	f.ClientRTT, f.ServerRTT = time.Duration(client)*time.Microsecond, time.Duration(server)*time.Microsecond
	f.Source, f.Dest = database.AddrFrom16(src), database.AddrFrom16(dst)
	copy(f.SrcMAC[:], srcMAC)
	copy(f.DstMAC[:], dstMAC)
	if f.Source.IsValid() && f.Dest.IsValid() {
		f.CommunityID = flow.CommunityID(f.Source, f.Dest, f.SrcPort, f.DstPort, uint8(f.Proto), seed)
	}
	return f, nil
}

// DNS returns DNS queries from new to old.
func (s *Store) DNS(ctx context.Context, q DNSQuery) ([]DNS, error) {
	var w where
	w.tap(q.Tap)
	w.addr(q.Addr, "client", "server")
	w.name("name", q.Name)
	if q.Type != 0 {
		w.and("qtype = ?", int64(q.Type))
	}
	if q.Via != "" {
		w.and("via = ?", database.Text(q.Via))
	}
	if q.Domain != "" {
		w.and("domain = ?", database.Text(q.Domain))
	}
	out, err := newest(ctx, s, partOf("dns_queries"), names(dnsColumns), &w, s.pageOf(q.From, q.To, q.Before, q.Limit), scanDNS)
	if err != nil {
		return nil, fmt.Errorf("listing DNS queries: %w", err)
	}
	return out, nil
}

func scanDNS(row scanner) (d DNS, err error) {
	var at, latency int64
	var client, server []byte
	var answers string
	err = row.Scan(&d.ID, &d.Tap, &at, &client, &server, &d.Port, &d.Proto, &d.Name, &d.Type, &d.Answered, &d.RCode, &latency, &answers,
		&d.Via, &d.Domain, &d.Entropy, &d.Authoritative, &d.Truncated, &d.Recursion, &d.Authenticated, &d.Subnet)
	d.Time, d.Latency = micros(at), time.Duration(latency)*time.Microsecond
	d.Client, d.Server = database.AddrFrom16(client), database.AddrFrom16(server)
	d.Answers = textList(answers)
	return d, err
}

// TLS returns TLS hellos from new to old.
func (s *Store) TLS(ctx context.Context, q TLSQuery) ([]TLS, error) {
	var w where
	w.tap(q.Tap)
	w.addr(q.Addr, "client", "server")
	w.name("sni", q.Name)
	if q.Fingerprint != "" {
		f := database.Text(q.Fingerprint)
		w.and("(ja4 = ? OR ja3 = ? OR ja3s = ? OR cert_sha256 = ?)", f, f, f, f)
	}
	out, err := newest(ctx, s, partOf("tls_hellos"), names(tlsColumns), &w, s.pageOf(q.From, q.To, q.Before, q.Limit), scanTLS)
	if err != nil {
		return nil, fmt.Errorf("listing TLS hellos: %w", err)
	}
	return out, nil
}

func scanTLS(row scanner) (t TLS, err error) {
	var at, notBefore, notAfter int64
	var client, server []byte
	var alpn, names string
	err = row.Scan(&t.ID, &t.Tap, &at, &client, &server, &t.SrcPort, &t.DstPort, &t.SNI, &alpn, &t.Version,
		&t.Proto, &t.Offered, &t.Chosen, &t.Cipher, &t.Protocol, &t.Resumed, &t.Alert, &t.JA3, &t.JA3S, &t.JA4,
		&t.Subject, &t.Issuer, &names, &notBefore, &notAfter, &t.Serial, &t.Fingerprint)
	t.Time, t.NotBefore, t.NotAfter = micros(at), database.FromMicros(notBefore), database.FromMicros(notAfter)
	t.Client, t.Server = database.AddrFrom16(client), database.AddrFrom16(server)
	t.ALPN, t.Names = textList(alpn), textList(names)
	return t, err
}

// Ledgers returns ledgers from new to old.
func (s *Store) Ledgers(ctx context.Context, q LedgerQuery) ([]Ledger, error) {
	var w where
	w.tap(q.Tap)
	out, err := newest(ctx, s, partOf("ledgers"), names(ledgerColumns), &w, s.pageOf(q.From, q.To, q.Before, q.Limit), scanLedger)
	if err != nil {
		return nil, fmt.Errorf("listing ledgers: %w", err)
	}
	return out, nil
}

func scanLedger(row scanner) (l Ledger, err error) {
	var start, end int64
	err = row.Scan(&l.ID, &l.Tap, &l.Boot, &l.Sequence, &start, &end, &l.Interface, &l.Received, &l.Summarised,
		&l.DroppedKernel, &l.DroppedPipeline, &l.Malformed, &l.HeldFragments, &l.ReleasedFragments, &l.Bytes)
	l.Start, l.End = micros(start), micros(end)
	return l, err
}

// Gaps returns the gaps that taps reported, the newest end first.
func (s *Store) Gaps(ctx context.Context, tap network.TapID, limit int) ([]Gap, error) {
	var w where
	w.tap(tap)
	all := page{math.MinInt64, math.MaxInt64, Cursor{}, bounded(limit)}
	out, err := newest(ctx, s, partOf("gaps"), "tap, boot, sequence, from_us, to_us, id", &w, all, func(row scanner) (Gap, error) { return scanGap(row, new(int64)) })
	if err != nil {
		return nil, fmt.Errorf("listing gaps: %w", err)
	}
	return out, nil
}

// LastGaps returns the newest gap of each tap whose name lies behind after, up
// to last; an empty last is no bound.
func (s *Store) LastGaps(ctx context.Context, after, last network.TapID) (map[network.TapID]Gap, error) {
	args := []any{string(after)}
	bound := ""
	if last != "" {
		args, bound = append(args, string(last)), " AND tap <= $2"
	}
	all, err := list(ctx, s.db, `SELECT g.tap, g.boot, g.sequence, g.from_us, g.to_us FROM gaps g
		JOIN (SELECT tap, MAX(to_us) AS newest FROM gaps WHERE tap > $1`+bound+` GROUP BY tap) n ON g.tap = n.tap AND g.to_us = n.newest
		ORDER BY g.tap, g.id`, args, func(row scanner) (Gap, error) { return scanGap(row) })
	if err != nil {
		return nil, fmt.Errorf("listing the newest gaps: %w", err)
	}
	out := make(map[network.TapID]Gap, len(all))
	for _, g := range all {
		out[g.Tap] = g
	}
	return out, nil
}

func scanGap(row scanner, more ...any) (g Gap, err error) {
	var from, to int64
	err = row.Scan(append([]any{&g.Tap, &g.Boot, &g.Sequence, &from, &to}, more...)...)
	g.From, g.To = database.FromMicros(from), database.FromMicros(to)
	return g, err
}

// micros is a time of a row; unlike database.FromMicros it keeps 1970.
func micros(us int64) time.Time { return time.UnixMicro(us).UTC() }
