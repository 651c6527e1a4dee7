package store

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/network"
)

// Insert writes all rows of a report in the transaction. The caller makes sure
// that a report is inserted once: its identity is not looked at here.
func (s *Store) Insert(ctx context.Context, tx *database.Tx, r *network.Report) error {
	ids := rowIDs(r.Identity)
	if s.enricher != nil {
		s.enricher.Learn(r)
	}
	if err := s.insertFlows(ctx, tx, r, ids); err != nil {
		return err
	}
	if err := insertDNS(ctx, tx, r, ids); err != nil {
		return err
	}
	if err := insertTLS(ctx, tx, r, ids); err != nil {
		return err
	}
	if err := insertLedgers(ctx, tx, r, ids); err != nil {
		return err
	}
	days := kindSums{}
	days.others(r)
	if err := insertRecords(ctx, tx, r, ids, days); err != nil {
		return err
	}
	if err := days.upsert(ctx, tx, r.Tap); err != nil {
		return err
	}
	return insertRollups(ctx, tx, r)
}

// rowIDs gives the rows of a report ids that no other report's rows have,
// short of a collision in 45 bits that matters only within one microsecond.
func rowIDs(id network.Identity) func(row int) int64 {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s/%s/%d", id.Tap, id.Boot, id.Sequence))
	base := int64(binary.BigEndian.Uint64(sum[:]) >> 19 << 18)
	return func(row int) int64 { return base | int64(row) }
}

var flowColumns = []string{"id", "tap", "start_us", "end_us", "src", "dst", "src_port", "dst_port", "proto", "vlan", "inner_vlan",
	"src_mac", "dst_mac", "src_packets", "dst_packets", "src_bytes", "dst_bytes", "src_flags", "dst_flags", "state", "app", "ended", "seed",
	"tunnel", "tunnel_id", "src_ttl", "dst_ttl", "client_rtt_us", "server_rtt_us", "src_retrans", "dst_retrans",
	"src_zero_windows", "dst_zero_windows", "fingerprint"}

func (s *Store) insertFlows(ctx context.Context, tx *database.Tx, r *network.Report, id func(int) int64) error {
	_, err := tx.CopyIn(ctx, "flows", slices.Concat(flowColumns, enrichColumns), len(r.Flows), func(i int) []any {
		f := &r.Flows[i]
		return append([]any{id(i), string(r.Tap), f.Start.UnixMicro(), f.End.UnixMicro(), database.Addr16(f.Source), database.Addr16(f.Dest),
			int64(f.SrcPort), int64(f.DstPort), int64(f.Proto), int64(f.VLAN), int64(f.InnerVLAN), mac(f.SrcMAC), mac(f.DstMAC),
			int64(f.SrcPkts), int64(f.DstPkts), int64(f.SrcBytes), int64(f.DstBytes), int64(f.SrcFlags), int64(f.DstFlags),
			int64(f.State), f.App, truth(f.Ended), int64(r.Seed),
			int64(f.Tunnel), int64(f.TunnelID), int64(f.SrcTTL), int64(f.DstTTL), f.ClientRTT.Microseconds(), f.ServerRTT.Microseconds(),
			int64(f.SrcRetrans), int64(f.DstRetrans), int64(f.SrcZeroWin), int64(f.DstZeroWin), f.Fingerprint}, s.enriched(r.Tap, f)...)
	})
	return err
}

var dnsColumns = []string{"id", "tap", "time_us", "client", "server", "client_port", "proto", "name", "qtype", "answered", "rcode", "latency_us", "answers",
	"via", "domain", "entropy", "authoritative", "truncated", "recursion", "authenticated", "subnet"}

func insertDNS(ctx context.Context, tx *database.Tx, r *network.Report, id func(int) int64) error {
	_, err := tx.CopyIn(ctx, "dns_queries", dnsColumns, len(r.DNS), func(i int) []any {
		q := &r.DNS[i]
		return []any{id(i), string(r.Tap), q.Time.UnixMicro(), database.Addr16(q.Client), database.Addr16(q.Server), int64(q.Port), int64(q.Proto),
			q.Name, int64(q.Type), truth(q.Answered), int64(q.RCode), q.Latency.Microseconds(), listText(q.Answers),
			q.Via, q.Domain, int64(q.Entropy), truth(q.Authoritative), truth(q.Truncated), truth(q.Recursion), truth(q.Authenticated), q.Subnet}
	})
	return err
}

var tlsColumns = []string{"id", "tap", "time_us", "client", "server", "client_port", "server_port", "sni", "alpn", "version",
	"proto", "offered", "chosen", "cipher", "protocol", "resumed", "alert", "ja3", "ja3s", "ja4",
	"subject", "issuer", "cert_names", "not_before_us", "not_after_us", "serial", "cert_sha256"}

func insertTLS(ctx context.Context, tx *database.Tx, r *network.Report, id func(int) int64) error {
	_, err := tx.CopyIn(ctx, "tls_hellos", tlsColumns, len(r.TLS), func(i int) []any {
		h := &r.TLS[i]
		return []any{id(i), string(r.Tap), h.Time.UnixMicro(), database.Addr16(h.Client), database.Addr16(h.Server),
			int64(h.SrcPort), int64(h.DstPort), h.SNI, listText(h.ALPN), int64(h.Version),
			int64(h.Proto), h.Offered, int64(h.Chosen), int64(h.Cipher), h.Protocol, truth(h.Resumed), h.Alert, h.JA3, h.JA3S, h.JA4,
			h.Subject, h.Issuer, listText(h.Names), database.Micros(h.NotBefore), database.Micros(h.NotAfter), h.Serial, h.Fingerprint}
	})
	return err
}

var ledgerColumns = []string{"id", "tap", "boot", "sequence", "start_us", "end_us", "interface", "received", "summarised",
	"dropped_kernel", "dropped_pipeline", "malformed", "held_fragments", "released_fragments", "bytes"}

func insertLedgers(ctx context.Context, tx *database.Tx, r *network.Report, id func(int) int64) error {
	_, err := tx.CopyIn(ctx, "ledgers", ledgerColumns, len(r.Interfaces), func(i int) []any {
		l := &r.Interfaces[i]
		return []any{id(i), string(r.Tap), r.Boot, int64(r.Sequence), r.Start.UnixMicro(), r.End.UnixMicro(), l.Interface,
			int64(l.Received), int64(l.Summarised), int64(l.DroppedKernel), int64(l.DroppedPipeline), int64(l.Malformed),
			int64(l.HeldFragments), int64(l.ReleasedFragments), int64(l.Bytes)}
	})
	if err != nil || r.Gap == nil {
		return err
	}
	g := r.Gap
	if _, err = tx.Exec(ctx, `INSERT INTO gaps (id, tap, boot, sequence, from_us, to_us) VALUES ($1, $2, $3, $4, $5, $6)`,
		id(0), string(r.Tap), g.Boot, int64(g.Sequence), database.Micros(g.From), database.Micros(g.To)); err != nil {
		return fmt.Errorf("inserting a gap: %w", err)
	}
	return nil
}

func truth(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

func mac(m [6]byte) []byte {
	if m == [6]byte{} {
		return nil
	}
	return m[:]
}

// listText is a list as it stands in a TEXT column: JSON, "" when empty.
func listText(list []string) string {
	if len(list) == 0 {
		return ""
	}
	b, err := json.Marshal(list)
	if err != nil {
		return "" // a list of strings always marshals
	}
	return string(b)
}

func textList(s string) []string {
	var list []string
	if s == "" || json.Unmarshal([]byte(s), &list) != nil {
		return nil
	}
	return list
}
