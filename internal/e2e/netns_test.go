package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// The two hosts of the test network. The prefixes are those for documentation
// (RFC 5737), and exist inside the namespaces only.
const (
	clientAddr = "192.0.2.10"
	serverAddr = "192.0.2.20"
	clientPort = "tap0"
)

// twoHosts makes two network namespaces that are joined by a veth pair, and
// removes them with the test. The client's end of the pair is named tap0.
func twoHosts(t *testing.T) (client, server string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("skipped: network namespaces need root")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("skipped: iproute2 is not installed")
	}
	client, server = fmt.Sprintf("rind-c-%d", os.Getpid()), fmt.Sprintf("rind-s-%d", os.Getpid())
	run := func(args ...string) {
		t.Helper()
		if out, err := exec.CommandContext(t.Context(), "ip", args...).CombinedOutput(); err != nil {
			if strings.Contains(string(out), "not permitted") {
				t.Skipf("skipped: this machine does not let root make network namespaces: %s", out)
			}
			t.Fatalf("ip %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	for _, ns := range []string{client, server} {
		run("netns", "add", ns)
		t.Cleanup(func() { _ = exec.Command("ip", "netns", "del", ns).Run() })
		run("-n", ns, "link", "set", "lo", "up")
	}
	run("link", "add", clientPort, "netns", client, "type", "veth", "peer", "name", "eth0", "netns", server)
	for _, end := range []struct{ ns, dev, addr string }{{client, clientPort, clientAddr}, {server, "eth0", serverAddr}} {
		run("-n", end.ns, "addr", "add", end.addr+"/24", "dev", end.dev)
		// Without IPv6 the only packets are those that the test sends.
		_ = exec.Command("ip", "netns", "exec", end.ns, "sysctl", "-qw", "net.ipv6.conf."+end.dev+".disable_ipv6=1").Run()
		run("-n", end.ns, "link", "set", end.dev, "up")
	}
	return client, server
}
