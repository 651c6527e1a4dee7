package vpn_test

import (
	"path/filepath"
	"testing"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/packet/parse/parsetest"
	"github.com/rind-project/rind/internal/network/packet/vpn"
)

// TestCaptures recognises real programs by the first packet of either side,
// and nothing that comes later for a hard reset.
func TestCaptures(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		proto network.Proto
		port  uint16
		is    func(int, []byte) bool
	}{
		"openvpn":       {network.UDP, 1194, vpn.OpenVPN},
		"openvpn-auth":  {network.UDP, 1195, vpn.OpenVPN},
		"openvpn-crypt": {network.UDP, 1196, vpn.OpenVPN},
		"openvpn-tcp":   {network.TCP, 1197, vpn.OpenVPNStream},
		"wireguard":     {network.UDP, 51820, vpn.WireGuard},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, conv := range parsetest.Conversations(t, filepath.Join("testdata", name+".pcap"), c.proto, c.port) {
				for i, chunk := range conv.Chunks {
					if got := c.is(chunk.Side, chunk.Data); got != (i < 2) {
						t.Errorf("packet %d of side %d, %d bytes %x…: %v", i, chunk.Side, len(chunk.Data), chunk.Data[:min(16, len(chunk.Data))], got)
					}
				}
			}
		})
	}
}
