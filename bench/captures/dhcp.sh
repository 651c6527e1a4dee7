# dnsmasq gives addresses to udhcpc, dhclient and dhcpcd, over IPv4 and IPv6.
need dnsmasq dnsmasq-base
need udhcpc udhcpc
need dhclient isc-dhcp-client

server dnsmasq -k -C /dev/null --user=root --port=0 --log-facility=- --leasefile-ro --interface=eth0 --bind-interfaces \
	--dhcp-range=192.0.2.100,192.0.2.110,1h --dhcp-option=option:router,192.0.2.2 --domain=lan.example \
	--dhcp-range=2001:db8::100,2001:db8::110,64,1h --enable-ra --dhcp-authoritative --no-ping
wait_udp 67

printf '#!/bin/sh\nexit 0\n' >"$WORK/script"
chmod +x "$WORK/script"
record dhcp4 udp port 67
client udhcpc -i eth0 -n -q -f -t 3 -T 2 -s "$WORK/script" -x hostname:printer -V 'udhcp test' >/dev/null 2>&1
cat >"$WORK/dhclient.conf" <<CONF
send host-name "laptop"; send vendor-class-identifier "dhclient test";
CONF
client dhclient -4 -1 -d -sf "$WORK/script" -cf "$WORK/dhclient.conf" -lf "$WORK/leases" -pf "$WORK/dhclient.pid" eth0 >/dev/null 2>&1 &
DHCLIENT=$!
PIDS+=($DHCLIENT)
for _ in $(seq 100); do grep -q 'lease {' "$WORK/leases" 2>/dev/null && break; sleep 0.1; done
client dhclient -4 -r -sf "$WORK/script" -cf "$WORK/dhclient.conf" -lf "$WORK/leases" -pf "$WORK/dhclient.pid" eth0 >/dev/null 2>&1 || true
save

record dhcp6 udp port 547
client timeout 20 dhclient -6 -1 -d -sf "$WORK/script" -cf "$WORK/dhclient.conf" -lf "$WORK/leases6" -pf "$WORK/dhclient6.pid" eth0 >/dev/null 2>&1 &
PIDS+=($!)
for _ in $(seq 100); do grep -q 'lease6 {' "$WORK/leases6" 2>/dev/null && break; sleep 0.1; done
sleep 1
client dhclient -6 -x -sf "$WORK/script" -lf "$WORK/leases6" -pf "$WORK/dhclient6.pid" eth0 >/dev/null 2>&1 || true
save
