# arping and ndisc6: requests, replies, a probe, a gratuitous announcement,
# neighbour solicitations and advertisements, and radvd's router advertisement.
need arping arping
need ndisc6 ndisc6
need rdisc6 ndisc6

record arp arp
client arping -c 2 -w 2 -I eth0 192.0.2.2 >/dev/null
client arping -c 1 -w 1 -0 -I eth0 192.0.2.2 >/dev/null || true
client arping -c 1 -w 1 -U -I eth0 -S 192.0.2.1 192.0.2.1 >/dev/null || true
client arping -c 1 -w 1 -I eth0 192.0.2.77 >/dev/null || true
save

need radvd radvd
cat >"$WORK/radvd.conf" <<CONF
interface eth0 { AdvSendAdvert on; MinRtrAdvInterval 3; MaxRtrAdvInterval 4; prefix 2001:db8:1::/64 { }; };
CONF
ip netns exec "$NS_SERVER" sysctl -qw net.ipv6.conf.all.forwarding=1
record nd icmp6
client ndisc6 -1 -r 2 2001:db8::2 eth0 >/dev/null
server radvd -n -C "$WORK/radvd.conf" -p "$WORK/radvd.pid" -u root
client rdisc6 -1 -r 5 -w 2000 eth0 >/dev/null
save
