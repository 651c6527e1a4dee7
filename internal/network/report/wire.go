package report

import (
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/rind-project/rind/internal/network"
)

const (
	magic   = "RIND"
	version = 1
	header  = len(magic) + 1
)

// The fields of a report.
const (
	fieldTap protowire.Number = iota + 1
	fieldBoot
	fieldSequence
	fieldStart
	fieldEnd
	fieldSeed
	fieldHealth
	fieldLedger
	fieldGap
	fieldIPv4
	fieldIPv6
	fieldNameLengths
	fieldNames
	fieldMACs
	fieldFlows
	fieldDNS
	fieldTLS
	fieldKind
)

// The fields of the records of one kind, and of one of their columns.
const (
	kindName protowire.Number = iota + 1
	kindRows
	kindColumn
)

const (
	columnName protowire.Number = iota + 1
	columnValues
	columnElements
)

// fieldCount is the number of rows in a message of columns; column c has the
// field number c + firstColumn.
const (
	fieldCount  protowire.Number = 1
	firstColumn protowire.Number = 2
)

// The columns of flows.
const (
	flowStart    = iota // zigzag, from the row before
	flowDuration        // zigzag
	flowSource
	flowDest
	flowSrcPort
	flowDstPort
	flowProto
	flowVLAN
	flowInnerVLAN
	flowSrcMAC
	flowDstMAC
	flowSrcPkts
	flowDstPkts
	flowSrcBytes
	flowDstBytes
	flowSrcFlags
	flowDstFlags
	flowState
	flowApp
	flowEnded
	flowTunnel
	flowTunnelID
	flowSrcTTL
	flowDstTTL
	flowClientRTT // µs
	flowServerRTT // µs
	flowSrcRetrans
	flowDstRetrans
	flowSrcZeroWin
	flowDstZeroWin
	flowFingerprint
	flowColumns
)

// The columns of DNS queries.
const (
	dnsTime = iota // zigzag, from the row before
	dnsClient
	dnsServer
	dnsPort
	dnsProto
	dnsName
	dnsType
	dnsAnswered
	dnsRCode
	dnsLatency // zigzag µs
	dnsAnswers // length of the list
	dnsAnswer  // all elements
	dnsVia     // place in dnsVias; 0 is none
	dnsDomain
	dnsEntropy
	dnsFlags // dnsAuthoritative and so on, or'ed
	dnsSubnet
	dnsColumns
)

// The bits of dnsFlags.
const (
	dnsAuthoritative = 1 << iota
	dnsTruncated
	dnsRecursion
	dnsAuthenticated
	dnsAllFlags = 1<<iota - 1
)

// dnsVias are the values of DNSQuery.Via that a report can say.
var dnsVias = [...]string{"", network.ViaDNS, network.ViaMDNS, network.ViaLLMNR, network.ViaNBNS}

// The columns of TLS hellos.
const (
	tlsTime = iota // zigzag, from the row before
	tlsClient
	tlsServer
	tlsSrcPort
	tlsDstPort
	tlsSNI
	tlsVersion
	tlsALPNs // length of the list
	tlsALPN  // all elements
	tlsProto // xor 6, so that only QUIC has any
	tlsOffered
	tlsChosen
	tlsCipher
	tlsProtocol
	tlsResumed
	tlsAlert
	tlsJA3
	tlsJA3S
	tlsJA4
	tlsSubject
	tlsIssuer
	tlsNames     // length of the list
	tlsName      // all elements
	tlsNotBefore // zigzag seconds; 0 is none
	tlsNotAfter  // likewise
	tlsSerial
	tlsFingerprint
	tlsColumns
)
