package network

import (
	"net/netip"
	"time"
)

// Records are what the protocol parsers of a tap found, beside flows, DNS and
// TLS, one list per kind. The JSON name of a list is the kind's name
// everywhere: in reports, tables, metrics, the API, commands and pages.
//
// A kind is a struct of plain fields; everything that treats all kinds alike
// (codec, tables, lists) reads the struct's fields once and knows these types:
// time.Time, time.Duration, netip.Addr, MAC, string, []string, bool, and
// unsigned and signed integers. The tag `json` names the column, `doc` says
// what stands in it (with its source where that helps), and `filter:"true"`
// marks one that lists can be filtered by.
type Records struct {
	Neighbors    []Neighbor    `json:"neighbors,omitempty" doc:"addresses that hosts said are theirs, by ARP and by neighbor discovery"`
	DHCP         []DHCP        `json:"dhcp,omitempty" doc:"DHCP messages, of IPv4 and IPv6"`
	HTTP         []HTTP        `json:"http,omitempty" doc:"HTTP requests with their answers"`
	SSH          []SSH         `json:"ssh,omitempty" doc:"SSH connections: banners and key exchange"`
	SMB          []SMB         `json:"smb,omitempty" doc:"SMB2 sessions: negotiation and tree names"`
	RDP          []RDP         `json:"rdp,omitempty" doc:"remote desktop connection requests"`
	Mail         []Mail        `json:"mail,omitempty" doc:"SMTP, IMAP and POP3 sessions"`
	FTP          []FTP         `json:"ftp,omitempty" doc:"FTP sessions"`
	Telnet       []Telnet      `json:"telnet,omitempty" doc:"Telnet sessions"`
	SIP          []SIP         `json:"sip,omitempty" doc:"SIP requests with their answers"`
	RTSP         []RTSP        `json:"rtsp,omitempty" doc:"RTSP requests with their answers"`
	SOCKS        []SOCKS       `json:"socks,omitempty" doc:"connections through a SOCKS proxy, with the destination asked for"`
	NTP          []NTP         `json:"ntp,omitempty" doc:"NTP answers: stratum, offset and delay"`
	SNMP         []SNMP        `json:"snmp,omitempty" doc:"SNMP requests"`
	Links        []Link        `json:"links,omitempty" doc:"neighbouring devices that announced themselves by LLDP or CDP"`
	Industrial   []Industrial  `json:"industrial,omitempty" doc:"Modbus and DNP3 functions"`
	WiFiNetworks []WiFiNetwork `json:"wifi_networks,omitempty" doc:"802.11 access points by BSSID and SSID"`
	WiFiClients  []WiFiClient  `json:"wifi_clients,omitempty" doc:"802.11 stations"`
	WiFiEvents   []WiFiEvent   `json:"wifi_events,omitempty" doc:"802.11 authentications, associations, deauthentications and disassociations"`
	Drones       []Drone       `json:"drones,omitempty" doc:"unmanned aircraft that broadcast a Remote ID (ASTM F3411)"`
	Bluetooth    []Bluetooth   `json:"bluetooth,omitempty" doc:"Bluetooth devices in range"`
}

// Session is where and when something was said: who opened the conversation
// is the client.
type Session struct {
	Time       time.Time  `json:"time" doc:"of the first packet of what the row tells"`
	Client     netip.Addr `json:"client" filter:"true" doc:"address of who opened the conversation"`
	ClientPort uint16     `json:"client_port" doc:"its port"`
	Server     netip.Addr `json:"server" filter:"true" doc:"address of the other side"`
	ServerPort uint16     `json:"server_port" filter:"true" doc:"its port"`
	Proto      Proto      `json:"proto" doc:"IP protocol number"`
	VLAN       uint16     `json:"vlan,omitempty" doc:"outer tag; 0 is none"`
}

// Neighbor is a binding of an IP address to a hardware address, as its holder
// told (RFC 826, RFC 4861). Equal ones stand once in a report.
type Neighbor struct {
	Time   time.Time  `json:"time" doc:"when the binding was first told in this report"`
	MAC    MAC        `json:"mac" filter:"true" doc:"hardware address"`
	Addr   netip.Addr `json:"addr" filter:"true" doc:"IP address; none in a probe (RFC 5227)"`
	VLAN   uint16     `json:"vlan,omitempty" doc:"outer tag; 0 is none"`
	Source string     `json:"source" filter:"true" doc:"arp or nd"`
	Kind   string     `json:"kind" filter:"true" doc:"request, reply, gratuitous, probe, solicitation, advertisement, router"`
	Target netip.Addr `json:"target" doc:"address asked for, in a request or solicitation"`
	Count  uint64     `json:"count" doc:"how often in this report"`
}

// DHCP is one DHCP message (RFC 2131, RFC 8415).
type DHCP struct {
	Session
	Version     uint8         `json:"version" filter:"true" doc:"4 or 6"`
	Type        string        `json:"type" filter:"true" doc:"message type: discover, offer, request, ack, …; solicit, advertise, …"`
	MAC         MAC           `json:"mac" filter:"true" doc:"client's hardware address"`
	Addr        netip.Addr    `json:"addr" filter:"true" doc:"address given or asked for"`
	HostName    string        `json:"host_name,omitempty" filter:"true" doc:"option 12, or the client's FQDN"`
	VendorClass string        `json:"vendor_class,omitempty" filter:"true" doc:"option 60, or option 16 of DHCPv6"`
	Fingerprint string        `json:"fingerprint,omitempty" filter:"true" doc:"parameter request list: option numbers in order, with commas"`
	Router      netip.Addr    `json:"router" doc:"option 3"`
	Domain      string        `json:"domain,omitempty" doc:"option 15"`
	Lease       time.Duration `json:"lease,omitempty" doc:"option 51, or the valid lifetime"`
}

// HTTP is a request with its answer (RFC 9112), or an HTTP/2 preface.
type HTTP struct {
	Session
	Version     string        `json:"version" filter:"true" doc:"1.0, 1.1 or 2"`
	Method      string        `json:"method,omitempty" filter:"true" doc:"of the request"`
	Host        string        `json:"host,omitempty" filter:"true" doc:"Host header"`
	Path        string        `json:"path,omitempty" doc:"request target without what follows ?"`
	Agent       string        `json:"agent,omitempty" filter:"true" doc:"User-Agent header"`
	Status      uint16        `json:"status,omitempty" filter:"true" doc:"of the answer; 0 when none was seen"`
	ContentType string        `json:"content_type,omitempty" filter:"true" doc:"of the answer"`
	Length      uint64        `json:"length,omitempty" doc:"Content-Length of the answer"`
	Software    string        `json:"software,omitempty" filter:"true" doc:"Server header"`
	Latency     time.Duration `json:"latency,omitempty" doc:"from the request to the answer"`
}

// SSH is an SSH connection's beginning (RFC 4253).
type SSH struct {
	Session
	ClientBanner string `json:"client_banner,omitempty" filter:"true" doc:"identification string of the client"`
	ServerBanner string `json:"server_banner,omitempty" filter:"true" doc:"identification string of the server"`
	HASSH        string `json:"hassh,omitempty" filter:"true" doc:"MD5 of the client's algorithms (HASSH)"`
	HASSHServer  string `json:"hassh_server,omitempty" filter:"true" doc:"MD5 of the server's algorithms (HASSH)"`
}

// SMB is an SMB2 session's beginning (MS-SMB2).
type SMB struct {
	Session
	Dialect string   `json:"dialect,omitempty" filter:"true" doc:"negotiated: 2.0.2 to 3.1.1, or 1 when only SMB1 was seen"`
	Signing string   `json:"signing,omitempty" filter:"true" doc:"none, enabled or required, of the server"`
	Trees   []string `json:"trees,omitempty" doc:"shares asked for, at most 16"`
	Host    string   `json:"host,omitempty" filter:"true" doc:"of the client, in the NTLM message"`
	User    string   `json:"user,omitempty" filter:"true" doc:"in the NTLM message"`
	Domain  string   `json:"domain,omitempty" filter:"true" doc:"in the NTLM message"`
}

// RDP is a remote desktop connection's beginning (MS-RDPBCGR).
type RDP struct {
	Session
	Cookie   string `json:"cookie,omitempty" filter:"true" doc:"mstshash or routing token"`
	Offered  string `json:"offered,omitempty" doc:"security protocols offered"`
	Selected string `json:"selected,omitempty" filter:"true" doc:"security protocol chosen, or the failure"`
	Name     string `json:"name,omitempty" filter:"true" doc:"client's computer name, when sent in the clear"`
}

// Mail is an SMTP, IMAP or POP3 session (RFC 5321, RFC 9051, RFC 1939).
type Mail struct {
	Session
	Service  string `json:"service" filter:"true" doc:"smtp, imap or pop3"`
	Banner   string `json:"banner,omitempty" filter:"true" doc:"greeting of the server"`
	Hello    string `json:"hello,omitempty" filter:"true" doc:"name that the client gave: EHLO, or the IMAP ID"`
	From     string `json:"from,omitempty" filter:"true" doc:"envelope sender of the first message"`
	To       string `json:"to,omitempty" doc:"first envelope recipient of the first message"`
	User     string `json:"user,omitempty" filter:"true" doc:"of a login in the clear"`
	StartTLS bool   `json:"starttls,omitempty" filter:"true" doc:"the session went on under TLS"`
}

// FTP is an FTP session (RFC 959).
type FTP struct {
	Session
	Banner   string   `json:"banner,omitempty" filter:"true" doc:"greeting of the server"`
	User     string   `json:"user,omitempty" filter:"true" doc:"argument of USER"`
	LoggedIn bool     `json:"logged_in,omitempty" filter:"true" doc:"the server answered 230"`
	StartTLS bool     `json:"starttls,omitempty" filter:"true" doc:"AUTH TLS was accepted"`
	Files    []string `json:"files,omitempty" doc:"commands on files with their argument, at most 16"`
}

// Telnet is a Telnet session (RFC 854).
type Telnet struct {
	Session
	Banner   string `json:"banner,omitempty" filter:"true" doc:"first text of the server"`
	Terminal string `json:"terminal,omitempty" filter:"true" doc:"terminal type (RFC 1091)"`
	Options  string `json:"options,omitempty" doc:"options that were negotiated, by number"`
}

// SIP is a SIP request with its answer (RFC 3261).
type SIP struct {
	Session
	Method  string        `json:"method,omitempty" filter:"true" doc:"of the request"`
	URI     string        `json:"uri,omitempty" doc:"request URI"`
	From    string        `json:"from,omitempty" filter:"true" doc:"URI in From"`
	To      string        `json:"to,omitempty" filter:"true" doc:"URI in To"`
	CallID  string        `json:"call_id,omitempty" filter:"true" doc:"Call-ID"`
	Agent   string        `json:"agent,omitempty" filter:"true" doc:"User-Agent, or Server"`
	Status  uint16        `json:"status,omitempty" filter:"true" doc:"final, else the latest answer"`
	Latency time.Duration `json:"latency,omitempty" doc:"from the request to that answer"`
}

// RTSP is an RTSP request with its answer (RFC 7826).
type RTSP struct {
	Session
	Method string `json:"method" filter:"true" doc:"of the request"`
	URL    string `json:"url,omitempty" doc:"request URL"`
	Agent  string `json:"agent,omitempty" filter:"true" doc:"User-Agent"`
	Server string `json:"software,omitempty" filter:"true" doc:"Server header"`
	Status uint16 `json:"status,omitempty" filter:"true" doc:"of the answer"`
}

// SOCKS is a connection through a proxy (RFC 1928, SOCKS 4 and 4a).
type SOCKS struct {
	Session
	Version  uint8      `json:"version" filter:"true" doc:"4 or 5"`
	Command  string     `json:"command" filter:"true" doc:"connect, bind or udp"`
	Host     string     `json:"host,omitempty" filter:"true" doc:"destination when asked for by name"`
	Addr     netip.Addr `json:"addr" filter:"true" doc:"destination when asked for by address"`
	Port     uint16     `json:"port" filter:"true" doc:"destination's port"`
	User     string     `json:"user,omitempty" filter:"true" doc:"user name or ident"`
	Answered bool       `json:"answered,omitempty" doc:"the proxy answered"`
	Reply    uint8      `json:"reply" filter:"true" doc:"its answer: 0 is granted in version 5, 90 in version 4"`
}

// NTP is a server's answer (RFC 5905).
type NTP struct {
	Session
	Version   uint8         `json:"version" doc:"of the protocol"`
	Mode      string        `json:"mode" filter:"true" doc:"server, broadcast, symmetric or control"`
	Stratum   uint8         `json:"stratum" filter:"true" doc:"0 is unspecified or a kiss code, 1 a reference clock"`
	Reference string        `json:"reference,omitempty" filter:"true" doc:"reference id: text of stratum 0 and 1, an address above"`
	Offset    time.Duration `json:"offset,omitempty" doc:"of the client's clock as its request and this answer say"`
	Delay     time.Duration `json:"delay,omitempty" doc:"of the round trip, as seen by the tap"`
	RootDelay time.Duration `json:"root_delay,omitempty" doc:"to the reference clock"`
}

// SNMP is a request (RFC 1157, RFC 3416, RFC 3411). Community strings are
// secrets: only what kind it was is told.
type SNMP struct {
	Session
	Version   string `json:"version" filter:"true" doc:"1, 2c or 3"`
	Operation string `json:"operation" filter:"true" doc:"get, getnext, set, getbulk, trap, inform, response, report"`
	Community string `json:"community,omitempty" filter:"true" doc:"empty, default (public or private) or other; never the string"`
	User      string `json:"user,omitempty" filter:"true" doc:"security name of version 3"`
	Security  string `json:"security,omitempty" filter:"true" doc:"noauth, auth or authpriv, of version 3"`
	Object    string `json:"object,omitempty" filter:"true" doc:"first object identifier"`
	Error     uint8  `json:"error,omitempty" doc:"error status of a response"`
}

// Link is a neighbouring device (IEEE 802.1AB, CDP). Equal ones stand once in
// a report.
type Link struct {
	Time         time.Time  `json:"time" doc:"when it was first announced in this report"`
	Protocol     string     `json:"protocol" filter:"true" doc:"lldp or cdp"`
	MAC          MAC        `json:"mac" filter:"true" doc:"source of the frame"`
	VLAN         uint16     `json:"vlan,omitempty" doc:"native VLAN, or the tag"`
	Device       string     `json:"device" filter:"true" doc:"system name, else the chassis id"`
	Chassis      string     `json:"chassis,omitempty" filter:"true" doc:"chassis id in text"`
	Port         string     `json:"port,omitempty" filter:"true" doc:"port id in text"`
	PortName     string     `json:"port_name,omitempty" doc:"port description"`
	Description  string     `json:"description,omitempty" doc:"system description, or CDP's software version"`
	Platform     string     `json:"platform,omitempty" filter:"true" doc:"CDP's platform"`
	Addr         netip.Addr `json:"addr" filter:"true" doc:"management address"`
	Capabilities string     `json:"capabilities,omitempty" filter:"true" doc:"what the device can do: bridge,router,…"`
}

// Industrial is a function of a control protocol (Modbus, IEEE 1815 DNP3),
// summed per flow, unit and function in a report.
type Industrial struct {
	Session
	Protocol  string `json:"protocol" filter:"true" doc:"modbus or dnp3"`
	Unit      uint16 `json:"unit" filter:"true" doc:"Modbus unit, or DNP3 destination"`
	Source    uint16 `json:"source,omitempty" doc:"DNP3 source"`
	Function  uint8  `json:"function" filter:"true" doc:"function code of the request"`
	Name      string `json:"name" filter:"true" doc:"the function's name"`
	Requests  uint64 `json:"requests" doc:"how often it was asked for"`
	Responses uint64 `json:"responses" doc:"how often it was answered"`
	Errors    uint64 `json:"errors" doc:"answers that are exceptions"`
}

// WiFiNetwork is what one access point said of one network in a report
// (IEEE 802.11-2020, 9.3.3).
type WiFiNetwork struct {
	Time        time.Time `json:"time" doc:"of the first beacon or probe response in this report"`
	BSSID       MAC       `json:"bssid" filter:"true" doc:"of the access point"`
	SSID        string    `json:"ssid" filter:"true" doc:"empty when hidden; odd bytes as \\DDD"`
	Hidden      bool      `json:"hidden,omitempty" filter:"true" doc:"beacons without the name"`
	Channel     uint8     `json:"channel" filter:"true" doc:"primary channel that it says it is on"`
	Frequency   uint16    `json:"frequency,omitempty" doc:"MHz at which it was received"`
	Security    []string  `json:"security,omitempty" doc:"suites: WEP, WPA-PSK-TKIP, WPA2-PSK-CCMP, WPA3-SAE-CCMP, OWE-CCMP, …"`
	PMF         string    `json:"pmf,omitempty" filter:"true" doc:"management frame protection: none, capable or required"`
	WPS         string    `json:"wps,omitempty" filter:"true" doc:"configured or unconfigured, and the device's name"`
	Rates       []string  `json:"rates,omitempty" doc:"supported rates in Mbit/s, basic ones with *"`
	Interval    uint16    `json:"interval,omitempty" doc:"between beacons, in units of 1024 µs"`
	Signal      int8      `json:"signal,omitempty" doc:"strongest, dBm"`
	Weakest     int8      `json:"weakest,omitempty" doc:"weakest, dBm"`
	Beacons     uint64    `json:"beacons" doc:"how many in this report"`
	Probes      uint64    `json:"probes" doc:"probe responses in this report"`
	Fingerprint string    `json:"fingerprint,omitempty" filter:"true" doc:"hash of the elements and their order, without what changes by itself"`
	Pwnagotchi  string    `json:"pwnagotchi,omitempty" filter:"true" doc:"name and identity that a Pwnagotchi announced"`
}

// WiFiClient is what was seen of one station in a report.
type WiFiClient struct {
	Time        time.Time `json:"time" doc:"of its first frame in this report"`
	MAC         MAC       `json:"mac" filter:"true" doc:"of the station"`
	Random      bool      `json:"random,omitempty" filter:"true" doc:"a locally administered address"`
	BSSID       MAC       `json:"bssid" filter:"true" doc:"of the network that it talked to; none when it only probed"`
	Wanted      []string  `json:"wanted,omitempty" doc:"names that it probed for, at most 16"`
	Signal      int8      `json:"signal,omitempty" doc:"strongest, dBm"`
	DataSent    uint64    `json:"data_sent" doc:"data frames from it"`
	DataGot     uint64    `json:"data_got" doc:"data frames to it"`
	BytesSent   uint64    `json:"bytes_sent" doc:"of those frames"`
	BytesGot    uint64    `json:"bytes_got" doc:"of those frames"`
	Management  uint64    `json:"management" doc:"management frames from it"`
	Control     uint64    `json:"control" doc:"control frames from it"`
	Fingerprint string    `json:"fingerprint,omitempty" filter:"true" doc:"hash of the elements of its probe requests"`
}

// WiFiEvent is a change between a station and an access point, summed per
// pair, kind and reason in a report.
type WiFiEvent struct {
	Time   time.Time `json:"time" doc:"of the first in this report"`
	Kind   string    `json:"kind" filter:"true" doc:"authentication, association, reassociation, deauthentication, disassociation"`
	From   MAC       `json:"from" filter:"true" doc:"transmitter"`
	To     MAC       `json:"to" filter:"true" doc:"receiver"`
	BSSID  MAC       `json:"bssid" filter:"true" doc:"of the access point"`
	Reason uint16    `json:"reason,omitempty" filter:"true" doc:"reason code, or status code of an answer"`
	Count  uint64    `json:"count" doc:"how often in this report"`
	Signal int8      `json:"signal,omitempty" doc:"strongest, dBm"`
}

// Drone is the latest that an unmanned aircraft said of itself in a report.
type Drone struct {
	Time      time.Time `json:"time" doc:"of its latest message in this report"`
	MAC       MAC       `json:"mac" filter:"true" doc:"transmitter"`
	Transport string    `json:"transport" filter:"true" doc:"wifi-beacon, wifi-nan or bluetooth"`
	ID        string    `json:"id,omitempty" filter:"true" doc:"of the aircraft"`
	IDType    string    `json:"id_type,omitempty" doc:"serial, registration, utm or session"`
	Type      string    `json:"type,omitempty" filter:"true" doc:"of the aircraft"`
	Status    string    `json:"status,omitempty" doc:"ground, airborne, emergency, …"`
	Latitude  int32     `json:"latitude,omitempty" doc:"1e-7 degrees"`
	Longitude int32     `json:"longitude,omitempty" doc:"1e-7 degrees"`
	Altitude  int32     `json:"altitude,omitempty" doc:"geodetic, decimetres"`
	Height    int32     `json:"height,omitempty" doc:"above take-off or ground, decimetres"`
	Speed     uint32    `json:"speed,omitempty" doc:"cm/s over ground"`
	Track     uint16    `json:"track,omitempty" doc:"degrees"`
	OperLat   int32     `json:"operator_latitude,omitempty" doc:"1e-7 degrees"`
	OperLong  int32     `json:"operator_longitude,omitempty" doc:"1e-7 degrees"`
	Operator  string    `json:"operator,omitempty" filter:"true" doc:"operator id"`
	Text      string    `json:"text,omitempty" doc:"self-description"`
	Signal    int8      `json:"signal,omitempty" doc:"strongest, dBm"`
	Messages  uint64    `json:"messages" doc:"how many in this report"`
}

// Bluetooth is a device that the host's adapter saw in a report.
type Bluetooth struct {
	Time      time.Time `json:"time" doc:"when it was last seen"`
	MAC       MAC       `json:"mac" filter:"true" doc:"of the device"`
	Random    bool      `json:"random,omitempty" filter:"true" doc:"a random address"`
	Name      string    `json:"name,omitempty" filter:"true" doc:"as it announces itself"`
	Class     uint32    `json:"class,omitempty" doc:"class of device"`
	Vendor    string    `json:"vendor,omitempty" filter:"true" doc:"company identifiers of its manufacturer data, by number"`
	Services  []string  `json:"services,omitempty" doc:"UUIDs of its services, at most 16"`
	Signal    int8      `json:"signal,omitempty" doc:"dBm"`
	Connected bool      `json:"connected,omitempty" filter:"true" doc:"to this host"`
}
