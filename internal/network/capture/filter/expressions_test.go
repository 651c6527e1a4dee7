package filter_test

// expressions are compared with what tcpdump selects. Those that do not go
// with a link type have to be refused by both.
var expressions = []string{
	"", "ip", "ip6", "arp", "rarp", "tcp", "udp", "icmp", "icmp6", "igmp", "sctp", "esp or ah",
	"not ip", "! ip6", "ip or ip6", "ip && tcp", "tcp || udp", "not (tcp or udp)", "not tcp and not udp", "tcp or udp and ip6",
	"port 53", "src port 53", "dst port 53", "src and dst port 53", "src or dst port 53", "udp port 53", "tcp port 80", "tcp src port 443", "tcp dst port https",
	"port domain", "port 80 or 443", "tcp port (80 or 443 or 22)", "not port 53 and not port 443", "sctp port 2905",
	"portrange 1-1024", "tcp portrange 8000-9000", "udp dst portrange 5353-67", "src portrange 32768-65535",
	"host 10.0.0.1", "src host 198.51.0.17", "dst host 198.51.0.17", "host 192.168.1.1 or 10.0.0.9", "src 10.0.0.1 and dst 198.51.1.2", "ip host 127.0.0.1",
	"arp host 192.168.1.1", "not host 10.0.0.1 and port 53", "src and dst host 127.0.0.1",
	"net 10", "net 10.0", "net 192.168.1", "src net 198.51.0.0/16", "dst net 10.0.0.0/8", "net 10.0.0.0 mask 255.0.0.0", "net 0.0.0.0/0", "net 141.142.0.0/16 and tcp",
	"net 2001:db8::/32", "ip6 net 2001:db8::/48", "host fe80::1", "dst host ff02::fb", "src net fe80::/10", "ip6 dst host ff02::1",
	"proto 17", "ip proto 6", "ip proto \\icmp", "ip6 proto 58", "proto \\tcp", "ip6 proto \\udp", "ip proto 47", "ip proto (1 or 2)",
	"ether proto 0x0800", "ether proto \\arp", "ether proto 0x86dd", "ether proto 0x88cc", "ether proto 0x42",
	"ether host 02:00:00:00:00:01", "ether src 02:00:00:00:00:01", "ether dst 02:00:00:00:00:02", "ether src host 02:00:00:00:00:01 or ether dst ff:ff:ff:ff:ff:ff",
	"broadcast", "ether broadcast", "multicast", "ether multicast", "ip multicast", "ip6 multicast", "not broadcast and not multicast",
	"vlan", "vlan 7", "vlan and tcp", "vlan and port 53", "not vlan", "vlan 100 and vlan 200", "vlan and vlan and ip", "vlan and ip6", "vlan or ip", "vlan and host 10.0.0.1",
	"vlan and ether src 02:00:00:00:00:01", "(vlan and udp) or (vlan and tcp)", "vlan and arp", "vlan and mpls", "vlan and tcp[13] & 2 != 0",
	"mpls", "mpls 100", "mpls and ip", "mpls and tcp", "mpls and mpls", "mpls 18 and host 10.1.1.1", "mpls and ip6",
	"less 100", "greater 500", "len > 100", "len <= 60", "len = 42", "len != 66 and tcp", "less 60 or greater 1400", "len - 14 > 100 and tcp", "len >= 0x40",
	"tcp[13] & 2 != 0", "tcp[tcpflags] & (tcp-syn|tcp-fin) != 0", "tcp[tcpflags] == tcp-syn", "ip[0] & 0xf != 5", "ip[6:2] & 0x1fff != 0", "ip[2:2] > 576", "icmp[icmptype] = icmp-echo",
	"udp[4:2] < 100", "ether[0] & 1 = 0", "ip6[6] = 17", "tcp[((tcp[12] & 0xf0) >> 2):4] = 0x47455420", "tcp[0:2] = tcp[2:2]", "udp[8] & 0x80 = 0 and udp port 53", "icmp6[0] = 135",
	"ip[8] * 2 + 1 > 100", "ip[12:4] ^ ip[16:4] != 0", "10 < len", "arp[6:2] = 1", "ip[2:2] - ((ip[0] & 0xf) << 2) > 20", "len % 2 = 0", "tcp[len - 60] > 7", "ip6[4:2] / 2 > 16",
}
