package flow

import "github.com/rind-project/rind/internal/network"

// What Record.App says a flow's payload looked like. The list is open: a new
// one goes to its end, with its name below.
const (
	AppUnknown = iota
	AppDNS
	AppTLS
	AppHTTP
	AppSSH
	AppQUIC
	AppHTTP2
	AppMDNS
	AppLLMNR
	AppNBNS
	AppDHCP
	AppDHCPv6
	AppSMB
	AppRDP
	AppSMTP
	AppIMAP
	AppPOP3
	AppFTP
	AppTelnet
	AppSIP
	AppRTSP
	AppSOCKS
	AppNTP
	AppSNMP
	AppModbus
	AppDNP3
	AppWireGuard
	AppOpenVPN
	AppMQTT
	AppBitTorrent
	appCount
)

var appNames = [appCount]string{
	AppUnknown:    "",
	AppDNS:        "dns",
	AppTLS:        "tls",
	AppHTTP:       "http",
	AppSSH:        "ssh",
	AppQUIC:       "quic",
	AppHTTP2:      "http2",
	AppMDNS:       "mdns",
	AppLLMNR:      "llmnr",
	AppNBNS:       "nbns",
	AppDHCP:       "dhcp",
	AppDHCPv6:     "dhcpv6",
	AppSMB:        "smb",
	AppRDP:        "rdp",
	AppSMTP:       "smtp",
	AppIMAP:       "imap",
	AppPOP3:       "pop3",
	AppFTP:        "ftp",
	AppTelnet:     "telnet",
	AppSIP:        "sip",
	AppRTSP:       "rtsp",
	AppSOCKS:      "socks",
	AppNTP:        "ntp",
	AppSNMP:       "snmp",
	AppModbus:     "modbus",
	AppDNP3:       "dnp3",
	AppWireGuard:  "wireguard",
	AppOpenVPN:    "openvpn",
	AppMQTT:       "mqtt",
	AppBitTorrent: "bittorrent",
}

// AppName returns the name of an App value as it stands in network.Flow.
func AppName(app uint8) string {
	if int(app) < len(appNames) {
		return appNames[app]
	}
	return ""
}

// portApp guesses from the ports, the destination's first.
func portApp(proto network.Proto, src, dst uint16) string {
	if proto != network.TCP && proto != network.UDP {
		return ""
	}
	if n := servicePort(proto, dst); n != "" {
		return n
	}
	return servicePort(proto, src)
}

func servicePort(proto network.Proto, port uint16) string {
	switch port {
	case 53:
		return "dns"
	case 389:
		return "ldap"
	case 3389:
		return "rdp"
	case 5060:
		return "sip"
	case 1194:
		return "openvpn"
	case 20000:
		return "dnp3"
	}
	if proto == network.UDP {
		switch port {
		case 67, 68:
			return "dhcp"
		case 69:
			return "tftp"
		case 123:
			return "ntp"
		case 137:
			return "nbns"
		case 161, 162:
			return "snmp"
		case 443:
			return "quic"
		case 500, 4500:
			return "ipsec"
		case 514:
			return "syslog"
		case 546, 547:
			return "dhcpv6"
		case 1900:
			return "ssdp"
		case 4789:
			return "vxlan"
		case 6081:
			return "geneve"
		case 5353:
			return "mdns"
		case 5355:
			return "llmnr"
		case 51820:
			return "wireguard"
		}
		return ""
	}
	switch port {
	case 21:
		return "ftp"
	case 22:
		return "ssh"
	case 23:
		return "telnet"
	case 25, 587:
		return "smtp"
	case 80, 8080:
		return "http"
	case 110:
		return "pop3"
	case 143:
		return "imap"
	case 443, 465, 853, 993, 995, 8443:
		return "tls"
	case 139, 445:
		return "smb"
	case 502:
		return "modbus"
	case 554:
		return "rtsp"
	case 1080:
		return "socks"
	case 1433:
		return "mssql"
	case 1883:
		return "mqtt"
	case 3306:
		return "mysql"
	case 4222:
		return "nats"
	case 5432:
		return "postgresql"
	case 6379:
		return "redis"
	}
	return ""
}
