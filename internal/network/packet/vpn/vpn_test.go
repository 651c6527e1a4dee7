package vpn_test

import (
	"encoding/hex"
	"strings"
	"testing"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/packet/parse/parsetest"
	"github.com/rind-project/rind/internal/network/packet/vpn"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestWireGuard(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		hex  string
		want bool
	}{
		"initiation":                        {"01000000 d837d030" + strings.Repeat("5a", 140), true},
		"response":                          {"02000000 06f47dab d837d030" + strings.Repeat("5a", 80), true},
		"transport":                         {"04000000 06f47dab" + strings.Repeat("5a", 24), false},
		"reserved is not zero":              {"01000100 d837d030" + strings.Repeat("5a", 140), false},
		"initiation too long":               {"01000000 d837d030" + strings.Repeat("5a", 141), false},
		"response as long as an initiation": {"02000000 d837d030" + strings.Repeat("5a", 140), false},
		"no sender":                         {"01000000 00000000" + strings.Repeat("5a", 140), false},
		"nothing":                           {"", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := vpn.WireGuard(0, unhex(t, c.hex)); got != c.want {
				t.Errorf("%v", got)
			}
		})
	}
}

func TestOpenVPN(t *testing.T) {
	t.Parallel()
	const session, zero = "81f86ea1e6e7df41", "0000000000"
	now := "00000001 6543210f"
	for name, c := range map[string]struct {
		hex  string
		want bool
	}{
		"client":                   {"38" + session + zero, true},
		"server":                   {"40" + session + "01 00000000 8000000000000001 00000000", true},
		"client with tls-auth":     {"38" + session + strings.Repeat("ab", 20) + now + zero, true},
		"client with SHA-512":      {"38" + session + strings.Repeat("ab", 64) + now + zero, true},
		"client with tls-crypt":    {"38" + session + now + strings.Repeat("ab", 37), true},
		"early negotiation":        {"38" + session + "0f000001 6543210f" + strings.Repeat("ab", 37), true},
		"server with tls-crypt":    {"40" + session + now + strings.Repeat("ab", 49), true},
		"client with tls-crypt-v2": {"50" + session + now + strings.Repeat("ab", 400), true},
		"no session":               {"38 0000000000000000" + zero, false},
		"key 1":                    {"39" + session + zero, false},
		"data":                     {"48" + session + zero, false},
		"a message id":             {"38" + session + "0000000001", false},
		"digits":                   {hex.EncodeToString([]byte("8123456789abcdef")), false},
		"cut off":                  {"38" + session + "000000", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := unhex(t, c.hex)
			if got := vpn.OpenVPN(0, b); got != c.want {
				t.Errorf("%v", got)
			}
			tcp := append([]byte{byte(len(b) >> 8), byte(len(b))}, b...)
			if got := vpn.OpenVPNStream(0, tcp); got != c.want {
				t.Errorf("over TCP: %v", got)
			}
			if vpn.OpenVPNStream(0, tcp[:len(tcp)-1]) {
				t.Error("over TCP: a packet that is cut off")
			}
		})
	}
}

func FuzzRecognise(f *testing.F) {
	f.Add([]byte("\x38\x81\xf8\x6e\xa1\xe6\xe7\xdf\x41\x00\x00\x00\x00\x00"))
	f.Add(append([]byte("\x01\x00\x00\x00\x01"), make([]byte, 143)...))
	for _, conv := range parsetest.Conversations(f, "testdata/wireguard.pcap", network.UDP, 51820) {
		for _, chunk := range conv.Chunks {
			f.Add(chunk.Data)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if vpn.WireGuard(0, b) && vpn.OpenVPN(0, b) {
			t.Error("both")
		}
		vpn.OpenVPNStream(0, b)
	})
}
