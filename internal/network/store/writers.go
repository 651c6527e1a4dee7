package store

import (
	"strings"
	"sync"

	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/network"
)

// writers returns who writes the rows of a report, in the order in which every
// transaction writes.
var writers = sync.OnceValue(func() []writer {
	all := []writer{flowWriter(), dnsWriter(), tlsWriter(), ledgerWriter(), gapWriter()}
	for _, k := range Kinds() {
		if k.isRecord() {
			all = append(all, recordWriter(k))
		}
	}
	return all
})

// columns reads "name", "name int4", "name int2", "name text" and "name bytea";
// a name alone is a BIGINT.
func columns(list string) []database.Column {
	types := map[string]database.ColumnType{"": database.Int64, "int4": database.Int32, "int2": database.Int16, "text": database.String, "bytea": database.Bytes}
	var all []database.Column
	for one := range strings.SplitSeq(list, ",") {
		name, kind, _ := strings.Cut(strings.TrimSpace(one), " ")
		all = append(all, database.Column{Name: name, Type: types[kind]})
	}
	return all
}

func names(columns []database.Column) string {
	list := make([]string, len(columns))
	for i, c := range columns {
		list[i] = `"` + c.Name + `"`
	}
	return strings.Join(list, ", ")
}

var flowColumns = columns(`id, tap text, start_us, end_us, src bytea, dst bytea, src_port int4, dst_port int4, proto int2, vlan int4, inner_vlan int4,
	src_mac bytea, dst_mac bytea, src_packets, dst_packets, src_bytes, dst_bytes, src_flags int2, dst_flags int2, state int2, app text, ended int2, seed int4,
	tunnel int2, tunnel_id, src_ttl int2, dst_ttl int2, client_rtt_us, server_rtt_us, src_retrans, dst_retrans,
	src_zero_windows, dst_zero_windows, fingerprint text,
	src_country text, dst_country text, src_as, dst_as, src_name text, dst_name text`)

func flowWriter() writer {
	return writer{
		part: partOf("flows"), columns: flowColumns,
		count: func(r *network.Report) int { return len(r.Flows) },
		time:  func(r *network.Report, i int) int64 { return r.Flows[i].Start.UnixMicro() },
		fill:  fillFlow,
	}
}

func fillFlow(b *batch, i int, r *database.Row) {
	f := &b.Flows[i]
	r.Int(b.id(i))
	r.Text(string(b.Tap))
	r.Int(f.Start.UnixMicro())
	r.Int(f.End.UnixMicro())
	r.Addr(f.Source)
	r.Addr(f.Dest)
	r.Int(int64(f.SrcPort))
	r.Int(int64(f.DstPort))
	r.Int(int64(f.Proto))
	r.Int(int64(f.VLAN))
	r.Int(int64(f.InnerVLAN))
	r.Bytes(mac(f.SrcMAC))
	r.Bytes(mac(f.DstMAC))
	r.Int(int64(f.SrcPkts))
	r.Int(int64(f.DstPkts))
	r.Int(int64(f.SrcBytes))
	r.Int(int64(f.DstBytes))
	r.Int(int64(f.SrcFlags))
	r.Int(int64(f.DstFlags))
	r.Int(int64(f.State))
	r.Text(f.App)
	r.Bool(f.Ended)
	r.Int(int64(b.Seed))
	r.Int(int64(f.Tunnel))
	r.Int(int64(f.TunnelID))
	r.Int(int64(f.SrcTTL))
	r.Int(int64(f.DstTTL))
	r.Int(f.ClientRTT.Microseconds())
	r.Int(f.ServerRTT.Microseconds())
	r.Int(int64(f.SrcRetrans))
	r.Int(int64(f.DstRetrans))
	r.Int(int64(f.SrcZeroWin))
	r.Int(int64(f.DstZeroWin))
	r.Text(f.Fingerprint)
	b.enriched(f, r)
}

var dnsColumns = columns(`id, tap text, time_us, client bytea, server bytea, client_port int4, proto int2, name text, qtype int4, answered int2, rcode int2, latency_us, answers text,
	via text, domain text, entropy int4, authoritative int2, truncated int2, recursion int2, authenticated int2, subnet text`)

func dnsWriter() writer {
	return writer{
		part: partOf("dns_queries"), columns: dnsColumns,
		count: func(r *network.Report) int { return len(r.DNS) },
		time:  func(r *network.Report, i int) int64 { return r.DNS[i].Time.UnixMicro() },
		fill: func(b *batch, i int, r *database.Row) {
			q := &b.DNS[i]
			r.Int(b.id(i))
			r.Text(string(b.Tap))
			r.Int(q.Time.UnixMicro())
			r.Addr(q.Client)
			r.Addr(q.Server)
			r.Int(int64(q.Port))
			r.Int(int64(q.Proto))
			r.Text(q.Name)
			r.Int(int64(q.Type))
			r.Bool(q.Answered)
			r.Int(int64(q.RCode))
			r.Int(q.Latency.Microseconds())
			r.Text(listText(q.Answers))
			r.Text(q.Via)
			r.Text(q.Domain)
			r.Int(int64(q.Entropy))
			r.Bool(q.Authoritative)
			r.Bool(q.Truncated)
			r.Bool(q.Recursion)
			r.Bool(q.Authenticated)
			r.Text(q.Subnet)
		},
	}
}

var tlsColumns = columns(`id, tap text, time_us, client bytea, server bytea, client_port int4, server_port int4, sni text, alpn text, version int4,
	proto int2, offered text, chosen int4, cipher int4, protocol text, resumed int2, alert text, ja3 text, ja3s text, ja4 text,
	subject text, issuer text, cert_names text, not_before_us, not_after_us, serial text, cert_sha256 text`)

func tlsWriter() writer {
	return writer{
		part: partOf("tls_hellos"), columns: tlsColumns,
		count: func(r *network.Report) int { return len(r.TLS) },
		time:  func(r *network.Report, i int) int64 { return r.TLS[i].Time.UnixMicro() },
		fill:  fillTLS,
	}
}

func fillTLS(b *batch, i int, r *database.Row) {
	h := &b.TLS[i]
	r.Int(b.id(i))
	r.Text(string(b.Tap))
	r.Int(h.Time.UnixMicro())
	r.Addr(h.Client)
	r.Addr(h.Server)
	r.Int(int64(h.SrcPort))
	r.Int(int64(h.DstPort))
	r.Text(h.SNI)
	r.Text(listText(h.ALPN))
	r.Int(int64(h.Version))
	r.Int(int64(h.Proto))
	r.Text(h.Offered)
	r.Int(int64(h.Chosen))
	r.Int(int64(h.Cipher))
	r.Text(h.Protocol)
	r.Bool(h.Resumed)
	r.Text(h.Alert)
	r.Text(h.JA3)
	r.Text(h.JA3S)
	r.Text(h.JA4)
	r.Text(h.Subject)
	r.Text(h.Issuer)
	r.Text(listText(h.Names))
	r.Int(database.Micros(h.NotBefore))
	r.Int(database.Micros(h.NotAfter))
	r.Text(h.Serial)
	r.Text(h.Fingerprint)
}

var ledgerColumns = columns(`id, tap text, boot text, sequence, start_us, end_us, interface text, received, summarised,
	dropped_kernel, dropped_pipeline, malformed, held_fragments, released_fragments, bytes`)

func ledgerWriter() writer {
	return writer{
		part: partOf("ledgers"), columns: ledgerColumns,
		count: func(r *network.Report) int { return len(r.Interfaces) },
		time:  func(r *network.Report, _ int) int64 { return r.End.UnixMicro() },
		fill: func(b *batch, i int, r *database.Row) {
			l := &b.Interfaces[i]
			r.Int(b.id(i))
			r.Text(string(b.Tap))
			r.Text(b.Boot)
			r.Int(int64(b.Sequence))
			r.Int(b.Start.UnixMicro())
			r.Int(b.End.UnixMicro())
			r.Text(l.Interface)
			for _, n := range [...]uint64{l.Received, l.Summarised, l.DroppedKernel, l.DroppedPipeline, l.Malformed, l.HeldFragments, l.ReleasedFragments, l.Bytes} {
				r.Int(int64(n))
			}
		},
	}
}

var gapColumns = columns(`id, tap text, boot text, sequence, from_us, to_us`)

func gapWriter() writer {
	return writer{
		part: partOf("gaps"), columns: gapColumns,
		count: func(r *network.Report) int { return int(truth(r.Gap != nil)) },
		time:  func(r *network.Report, _ int) int64 { return database.Micros(r.Gap.To) },
		fill: func(b *batch, _ int, r *database.Row) {
			r.Int(b.id(0))
			r.Text(string(b.Tap))
			r.Text(b.Gap.Boot)
			r.Int(int64(b.Gap.Sequence))
			r.Int(database.Micros(b.Gap.From))
			r.Int(database.Micros(b.Gap.To))
		},
	}
}
