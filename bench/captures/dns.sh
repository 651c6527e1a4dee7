# dig asks dnsmasq over UDP and TCP; avahi announces a service by mDNS; llmnr-query
# asks llmnrd by LLMNR; nmbd answers nmblookup by NetBIOS.
need dig bind9-dnsutils
need dnsmasq dnsmasq-base

server dnsmasq -k -C /dev/null --user=root --no-resolv --no-hosts --log-facility=- --listen-address=192.0.2.2 --bind-interfaces --no-dhcp-interface=eth0 \
	--address=/www.example.com/198.51.100.7 --address=/www.example.com/2001:db8:7::7 --cname=alias.example.com,host.example.com \
	--host-record=host.example.com,198.51.100.8 --mx-host=example.com,mail.example.com,10 --txt-record=example.com,'v=spf1 -all' \
	--srv-host=_sip._tcp.example.com,sip.example.com,5060,1,2 --ptr-record=7.100.51.198.in-addr.arpa,www.example.com \
	--txt-record=long.example.com,"$(printf 'a%.0s' {1..250})","$(printf 'b%.0s' {1..250})","$(printf 'c%.0s' {1..250})"
wait_udp 53

ask() { client dig @192.0.2.2 +tries=1 +time=2 "$@" >/dev/null; }
record dig port 53
ask www.example.com A
ask www.example.com AAAA +noedns
ask alias.example.com A +subnet=203.0.113.0/24
ask example.com MX
ask example.com TXT
ask _sip._tcp.example.com SRV
ask -x 198.51.100.7
ask +norecurse host.example.com A
ask +noedns +ignore long.example.com TXT
ask nowhere.example.net A
ask +tcp www.example.com A
ask +tcp +keepopen www.example.com A example.com MX
ask +opcode=notify example.com SOA || true
save

need avahi-daemon avahi-daemon
need avahi-publish avahi-utils
need dbus-daemon dbus
mkdir -p "$WORK/dbus"
cat >"$WORK/dbus.conf" <<CONF
<busconfig><type>session</type><listen>unix:path=$WORK/dbus/socket</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy></busconfig>
CONF
export DBUS_SYSTEM_BUS_ADDRESS=unix:path=$WORK/dbus/socket
server dbus-daemon --nofork --nopidfile --config-file="$WORK/dbus.conf"
for _ in $(seq 50); do [ -S "$WORK/dbus/socket" ] && break; sleep 0.1; done
cat >"$WORK/avahi.conf" <<CONF
[server]
host-name=printer
allow-interfaces=eth0
[rlimits]
CONF
ip -n "$NS_CLIENT" route add 224.0.0.0/4 dev eth0
record mdns udp port 5353
server avahi-daemon --no-chroot --no-drop-root --no-rlimits --no-proc-title -f "$WORK/avahi.conf"
sleep 3
ip netns exec "$NS_SERVER" env DBUS_SYSTEM_BUS_ADDRESS="$DBUS_SYSTEM_BUS_ADDRESS" timeout 3 avahi-publish -s 'Test printer' _ipp._tcp 631 'rp=ipp/print' >/dev/null 2>&1 || true
client dig @224.0.0.251 -p 5353 +tries=1 +time=2 printer.local A >/dev/null || true
save

need llmnrd llmnrd
need llmnr-query llmnrd
server llmnrd -6 -i eth0 -H printer
wait_udp 5355
record llmnr udp port 5355
client llmnr-query -I eth0 -T A -d 7 printer >/dev/null
client llmnr-query -I eth0 -d 8 printer >/dev/null
client llmnr-query -I eth0 -6 -T AAAA -d 9 printer >/dev/null
client llmnr-query -I eth0 -t 300 -d 10 nobody >/dev/null 2>&1 || true
save

need nmbd samba
need nmblookup samba-common-bin
mkdir -p "$WORK/samba"
cat >"$WORK/smb.conf" <<CONF
[global]
workgroup = EXAMPLE
netbios name = FILES
interfaces = eth0
bind interfaces only = yes
private dir = $WORK/samba
lock directory = $WORK/samba
state directory = $WORK/samba
cache directory = $WORK/samba
pid directory = $WORK/samba
ncalrpc dir = $WORK/samba
log file = $WORK/samba/log
disable netbios = no
CONF
server nmbd -F --no-process-group -s "$WORK/smb.conf"
wait_udp 137
sleep 4
record nbns udp port 137
client nmblookup -s "$WORK/smb.conf" FILES >/dev/null
client nmblookup -s "$WORK/smb.conf" -U 192.0.2.2 -A 192.0.2.2 >/dev/null || true
client nmblookup -s "$WORK/smb.conf" NOBODY >/dev/null 2>&1 || true
save
