package pipeline

import (
	"time"

	"github.com/rind-project/rind/internal/network/flow"
	"github.com/rind-project/rind/internal/network/packet/dhcp"
	"github.com/rind-project/rind/internal/network/packet/dns"
	"github.com/rind-project/rind/internal/network/packet/ftp"
	"github.com/rind-project/rind/internal/network/packet/http"
	"github.com/rind-project/rind/internal/network/packet/industrial"
	"github.com/rind-project/rind/internal/network/packet/mail"
	"github.com/rind-project/rind/internal/network/packet/ntp"
	"github.com/rind-project/rind/internal/network/packet/parse"
	"github.com/rind-project/rind/internal/network/packet/quic"
	"github.com/rind-project/rind/internal/network/packet/rdp"
	"github.com/rind-project/rind/internal/network/packet/rtsp"
	"github.com/rind-project/rind/internal/network/packet/sip"
	"github.com/rind-project/rind/internal/network/packet/smb"
	"github.com/rind-project/rind/internal/network/packet/snmp"
	"github.com/rind-project/rind/internal/network/packet/socks"
	"github.com/rind-project/rind/internal/network/packet/ssh"
	"github.com/rind-project/rind/internal/network/packet/telnet"
	"github.com/rind-project/rind/internal/network/packet/tls"
	"github.com/rind-project/rind/internal/network/packet/vpn"
)

// quicPerSecond is how many QUIC datagrams are decrypted in a second: at some
// ten microseconds each, a tenth of a core.
const quicPerSecond = 10_000

type ports = []uint16

// protocols are all parsers of TCP and of UDP flows, in the order in which
// they are asked whether a payload is theirs; on its ports a parser is asked
// before the others. One more is a line here.
func protocols() (tcp, udp []protocol) {
	names, industry, calls := dns.New(), industrial.New(), sip.NewDatagrams()
	tcp = []protocol{
		{name: "tls", app: flow.AppTLS, ports: ports{443, 465, 853, 993, 995, 8443}, looks: looksTLS, stream: tls.NewMemory().NewStream},
		{name: "http", app: flow.AppHTTP, ports: ports{80, 8080, 8000, 3128}, looks: http.LooksLike, stream: http.New},
		{name: "http", app: flow.AppHTTP2, looks: http.LooksLike2, stream: http.New},
		{name: "ssh", app: flow.AppSSH, ports: ports{22}, looks: ssh.LooksLike, stream: of[ssh.Stream]()},
		{name: "smtp", app: flow.AppSMTP, ports: ports{25, 587, 2525}, looks: mail.LooksLikeSMTP, greets: mail.GreetsSMTP, stream: mail.NewSMTP},
		{name: "imap", app: flow.AppIMAP, ports: ports{143}, looks: mail.LooksLikeIMAP, stream: mail.NewIMAP},
		{name: "pop3", app: flow.AppPOP3, ports: ports{110}, looks: mail.LooksLikePOP3, stream: mail.NewPOP3},
		{name: "ftp", app: flow.AppFTP, ports: ports{21}, looks: ftp.LooksLike, greets: ftp.Greets, stream: ftp.New},
		{name: "smb", app: flow.AppSMB, ports: ports{smb.Port, smb.PortNetBIOS}, looks: either(smb.LooksLike), stream: of[smb.Stream]()},
		{name: "rdp", app: flow.AppRDP, ports: ports{3389}, looks: rdp.LooksLike, stream: of[rdp.Stream]()},
		{name: "sip", app: flow.AppSIP, ports: ports{5060}, looks: sip.LooksLike, stream: sip.NewStream},
		{name: "rtsp", app: flow.AppRTSP, ports: ports{554, 8554}, looks: rtsp.LooksLike, stream: rtsp.New},
		{name: "telnet", app: flow.AppTelnet, ports: ports{23}, looks: telnet.LooksLike, stream: telnet.New},
		{name: "socks", app: flow.AppSOCKS, ports: ports{1080}, looks: socks.LooksLike, stream: socks.New},
		{name: "openvpn", app: flow.AppOpenVPN, ports: ports{1194}, looks: vpn.OpenVPNStream},
		{name: "dnp3", app: flow.AppDNP3, ports: ports{industrial.PortDNP3}, looks: either(industrial.LooksLikeDNP3),
			stream: func() parse.Stream { return industry.NewDNP3() }, sums: industry},
		{name: "modbus", app: flow.AppModbus, ports: ports{industrial.PortModbus}, only: true, looks: either(industrial.LooksLikeModbus),
			stream: func() parse.Stream { return industry.NewModbus() }, sums: industry},
		{name: "dns", app: flow.AppDNS, ports: ports{dns.Port}, only: true, looks: anything, stream: func() parse.Stream { return names.NewStream() }},
	}
	udp = []protocol{
		{name: "dns", app: flow.AppDNS, ports: ports{dns.Port}, only: true, datagrams: names},
		{name: "mdns", app: flow.AppMDNS, ports: ports{dns.PortMDNS}, only: true, datagrams: names},
		{name: "llmnr", app: flow.AppLLMNR, ports: ports{dns.PortLLMNR}, only: true, datagrams: names},
		{name: "nbns", app: flow.AppNBNS, ports: ports{dns.PortNBNS}, only: true, datagrams: names},
		{name: "quic", app: flow.AppQUIC, ports: ports{443}, looks: quic.LooksLike, datagrams: quic.New(), perSecond: quicPerSecond},
		{name: "dhcp", app: flow.AppDHCP, ports: ports{dhcp.ServerPort, dhcp.ClientPort}, server: dhcp.ServerPort, looks: either(dhcp.LooksLike), datagrams: dhcp.New()},
		{name: "dhcpv6", app: flow.AppDHCPv6, ports: ports{546, 547}, server: 547, only: true, looks: either(dhcp.LooksLike6), datagrams: dhcp.New6()},
		{name: "ntp", app: flow.AppNTP, ports: ports{ntp.Port}, only: true, looks: either(ntp.LooksLike), datagrams: ntp.New()},
		{name: "snmp", app: flow.AppSNMP, ports: ports{snmp.Port, snmp.PortTrap}, only: true, looks: either(snmp.LooksLike), datagrams: snmp.New()},
		{name: "sip", app: flow.AppSIP, ports: ports{5060}, looks: sip.LooksLike, datagrams: calls, sums: waiting{calls}},
		{name: "dnp3", app: flow.AppDNP3, ports: ports{industrial.PortDNP3}, looks: either(industrial.LooksLikeDNP3), datagrams: industry.NewDatagrams()},
		{name: "wireguard", app: flow.AppWireGuard, ports: ports{51820}, looks: vpn.WireGuard},
		{name: "openvpn", app: flow.AppOpenVPN, ports: ports{1194}, looks: vpn.OpenVPN},
	}
	return tcp, udp
}

// answerTime is how long a request of SIP waits for its final answer: timer B
// of RFC 3261 section 17.1.1.2.
const answerTime = 32 * time.Second

// waiting reports the requests that had no answer in time.
type waiting struct{ calls *sip.Datagrams }

// Cut implements parse.Cutter.
func (w waiting) Cut(out *parse.Out, end time.Time, last bool) {
	if last {
		w.calls.Flush(out)
		return
	}
	w.calls.Expire(out, end.Add(-answerTime))
}

// of makes streams whose zero value is ready.
func of[T any, S interface {
	*T
	parse.Stream
}]() func() parse.Stream {
	return func() parse.Stream { return S(new(T)) }
}

// either is for what looks the same from both sides.
func either(looks func([]byte) bool) func(int, []byte) bool {
	return func(_ int, b []byte) bool { return looks(b) }
}

// anything is for a parser that finds out itself, on its ports.
func anything(int, []byte) bool { return true }

func looksTLS(_ int, b []byte) bool {
	handshake, _ := tls.LooksLike(b)
	return handshake
}
