package report

import (
	"encoding/binary"
	"math"
	"slices"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/rind-project/rind/internal/network"
)

// maxLatency is the longest wait for an answer that a report can say.
const maxLatency = time.Hour

// maxTrip is the longest round trip that a report can say.
const maxTrip = math.MaxUint32 * time.Microsecond

func (e *Encoder) flows(flows []network.Flow, ends []uint32) {
	e.open(flowColumns, len(flows))
	var before int64
	for i := range flows {
		f := &flows[i]
		start := f.Start.UnixMicro()
		e.put(flowStart, protowire.EncodeZigZag(start-before))
		e.put(flowDuration, protowire.EncodeZigZag(f.End.UnixMicro()-start))
		before = start
		e.put(flowSource, uint64(ends[2*i]))
		e.put(flowDest, uint64(ends[2*i+1]))
		e.put(flowSrcPort, uint64(f.SrcPort))
		e.put(flowDstPort, uint64(f.DstPort))
		e.put(flowProto, uint64(f.Proto))
		e.put(flowVLAN, uint64(f.VLAN))
		e.put(flowInnerVLAN, uint64(f.InnerVLAN))
		e.put(flowSrcMAC, e.macs.add(f.SrcMAC))
		e.put(flowDstMAC, e.macs.add(f.DstMAC))
		e.put(flowSrcPkts, f.SrcPkts)
		e.put(flowDstPkts, f.DstPkts)
		e.put(flowSrcBytes, f.SrcBytes)
		e.put(flowDstBytes, f.DstBytes)
		e.put(flowSrcFlags, uint64(f.SrcFlags))
		e.put(flowDstFlags, uint64(f.DstFlags))
		e.put(flowState, uint64(f.State))
		e.put(flowApp, e.names.add(f.App))
		e.put(flowEnded, bit(f.Ended))
		e.put(flowTunnel, uint64(f.Tunnel))
		e.put(flowTunnelID, uint64(f.TunnelID))
		e.put(flowSrcTTL, uint64(f.SrcTTL))
		e.put(flowDstTTL, uint64(f.DstTTL))
		e.put(flowClientRTT, trip(f.ClientRTT))
		e.put(flowServerRTT, trip(f.ServerRTT))
		e.put(flowSrcRetrans, uint64(f.SrcRetrans))
		e.put(flowDstRetrans, uint64(f.DstRetrans))
		e.put(flowSrcZeroWin, uint64(f.SrcZeroWin))
		e.put(flowDstZeroWin, uint64(f.DstZeroWin))
		e.put(flowFingerprint, e.names.add(f.Fingerprint))
	}
	e.close(fieldFlows, len(flows), flowColumns)
}

// trip is a round trip in µs, of 32 bits.
func trip(d time.Duration) uint64 {
	return uint64(min(max(d, 0), maxTrip).Microseconds())
}

func (e *Encoder) dns(queries []network.DNSQuery, ends []uint32) {
	e.open(dnsColumns, len(queries))
	var before int64
	for i := range queries {
		q := &queries[i]
		at := q.Time.UnixMicro()
		e.put(dnsTime, protowire.EncodeZigZag(at-before))
		before = at
		e.put(dnsClient, uint64(ends[2*i]))
		e.put(dnsServer, uint64(ends[2*i+1]))
		e.put(dnsPort, uint64(q.Port))
		e.put(dnsProto, uint64(q.Proto))
		e.put(dnsName, e.names.add(q.Name))
		e.put(dnsType, uint64(q.Type))
		e.put(dnsAnswered, bit(q.Answered))
		e.put(dnsRCode, uint64(q.RCode))
		e.put(dnsLatency, protowire.EncodeZigZag(min(max(q.Latency, 0), maxLatency).Microseconds()))
		e.list(dnsAnswers, dnsAnswer, q.Answers, MaxAnswers)
		e.put(dnsVia, uint64(max(0, slices.Index(dnsVias[:], q.Via))))
		e.put(dnsDomain, e.names.add(q.Domain))
		e.put(dnsEntropy, uint64(q.Entropy))
		e.put(dnsFlags, bit(q.Authoritative)*dnsAuthoritative|bit(q.Truncated)*dnsTruncated|
			bit(q.Recursion)*dnsRecursion|bit(q.Authenticated)*dnsAuthenticated)
		e.put(dnsSubnet, e.names.add(q.Subnet))
	}
	e.close(fieldDNS, len(queries), dnsColumns)
}

func (e *Encoder) tls(hellos []network.TLSHello, ends []uint32) {
	e.open(tlsColumns, len(hellos))
	var before int64
	for i := range hellos {
		h := &hellos[i]
		at := h.Time.UnixMicro()
		e.put(tlsTime, protowire.EncodeZigZag(at-before))
		before = at
		e.put(tlsClient, uint64(ends[2*i]))
		e.put(tlsServer, uint64(ends[2*i+1]))
		e.put(tlsSrcPort, uint64(h.SrcPort))
		e.put(tlsDstPort, uint64(h.DstPort))
		e.put(tlsSNI, e.names.add(h.SNI))
		e.put(tlsVersion, uint64(h.Version))
		e.list(tlsALPNs, tlsALPN, h.ALPN, MaxALPN)
		e.put(tlsProto, uint64(h.Proto^network.TCP))
		e.put(tlsOffered, e.names.add(h.Offered))
		e.put(tlsChosen, uint64(h.Chosen))
		e.put(tlsCipher, uint64(h.Cipher))
		e.put(tlsProtocol, e.names.add(h.Protocol))
		e.put(tlsResumed, bit(h.Resumed))
		e.put(tlsAlert, e.names.add(h.Alert))
		e.put(tlsJA3, e.names.add(h.JA3))
		e.put(tlsJA3S, e.names.add(h.JA3S))
		e.put(tlsJA4, e.names.add(h.JA4))
		e.put(tlsSubject, e.names.add(h.Subject))
		e.put(tlsIssuer, e.names.add(h.Issuer))
		e.list(tlsNames, tlsName, h.Names, MaxCertNames)
		e.put(tlsNotBefore, seconds(h.NotBefore))
		e.put(tlsNotAfter, seconds(h.NotAfter))
		e.put(tlsSerial, e.names.add(h.Serial))
		e.put(tlsFingerprint, e.names.add(h.Fingerprint))
	}
	e.close(fieldTLS, len(hellos), tlsColumns)
}

// open empties the columns of a message. Most have a byte for each row, or
// little more.
func (e *Encoder) open(columns, rows int) {
	for c := range columns {
		e.columns[c] = slices.Grow(e.columns[c][:0], rows)
	}
}

func (e *Encoder) put(column int, v uint64) {
	if v < 0x80 {
		e.columns[column] = append(e.columns[column], byte(v))
		return
	}
	e.columns[column] = protowire.AppendVarint(e.columns[column], v)
}

func (e *Encoder) list(lengths, elements int, list []string, limit int) {
	list = list[:min(len(list), limit)]
	e.put(lengths, uint64(len(list)))
	for _, s := range list {
		e.put(elements, e.names.add(s))
	}
}

// close appends the message to the rows, without the columns that are all
// zero.
func (e *Encoder) close(field protowire.Number, rows, columns int) {
	if rows == 0 {
		return
	}
	size := protowire.SizeTag(fieldCount) + protowire.SizeVarint(uint64(rows))
	for c, column := range e.columns[:columns] {
		if !zero(column) {
			size += protowire.SizeTag(firstColumn+protowire.Number(c)) + protowire.SizeBytes(len(column))
		}
	}
	e.rows = slices.Grow(e.rows, size+2*binary.MaxVarintLen64)
	e.rows = protowire.AppendTag(e.rows, field, protowire.BytesType)
	e.rows = protowire.AppendVarint(e.rows, uint64(size))
	e.rows = appendUint(e.rows, fieldCount, uint64(rows))
	for c, column := range e.columns[:columns] {
		if !zero(column) {
			e.rows = appendBytes(e.rows, firstColumn+protowire.Number(c), column)
		}
	}
}

// zero reports whether a column holds nothing but zeros.
func zero(column []byte) bool {
	for _, b := range column {
		if b != 0 {
			return false
		}
	}
	return true
}

// seconds is a time of a certificate, which may be none.
func seconds(t time.Time) uint64 {
	if t.IsZero() {
		return 0
	}
	return protowire.EncodeZigZag(t.Unix())
}

func bit(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}
