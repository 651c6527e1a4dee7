package network

// Tunnel is what a flow was carried in.
type Tunnel uint8

// The tunnels that are opened. The id that a flow has beside it is, for VXLAN
// and Geneve, the network identifier; for GRE the key; for ERSPAN the session;
// for MPLS the label at the bottom of the stack; for PPPoE the session. IP in
// IP and GRE without a key have no number of their own: there it is one made
// of the two outer addresses, the same both ways.
const (
	TunnelNone   Tunnel = iota
	TunnelVXLAN         // RFC 7348, over UDP port 4789
	TunnelGeneve        // RFC 8926, over UDP port 6081
	TunnelGRE           // RFC 2784, RFC 2890
	TunnelERSPAN        // mirrored frames in GRE (draft-foschiano-erspan)
	TunnelIPIP          // RFC 2003, RFC 2473, RFC 4213
	TunnelMPLS          // RFC 3032, RFC 4448
	TunnelPPPoE         // RFC 2516
	TunnelPPP           // RFC 1661 on the link itself
	TunnelCount         // how many there are
)

var tunnels = [TunnelCount]string{"", "vxlan", "geneve", "gre", "erspan", "ipip", "mpls", "pppoe", "ppp"}

// String returns the tunnel's name in JSON, in lists and on pages.
func (t Tunnel) String() string {
	if t < TunnelCount {
		return tunnels[t]
	}
	return ""
}

// MarshalText writes the tunnel's name.
func (t Tunnel) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText reads the tunnel's name.
func (t *Tunnel) UnmarshalText(b []byte) error {
	*t, _ = ParseTunnel(string(b))
	return nil
}

// ParseTunnel reads a tunnel's name.
func ParseTunnel(s string) (Tunnel, bool) {
	for i, n := range tunnels {
		if i > 0 && n == s {
			return Tunnel(i), true
		}
	}
	return TunnelNone, false
}
