# chronyd as a server, asked by ntpdate, and by another chronyd.
need chronyd chrony
need ntpdate ntpdate

cat >"$WORK/chrony.conf" <<CONF
local stratum 3
allow all
port 123
cmdport 0
pidfile $WORK/chronyd.pid
CONF
server chronyd -d -x -u root -f "$WORK/chrony.conf"
wait_udp 123
record ntpdate udp port 123
client ntpdate -q -p 2 192.0.2.2 >/dev/null 2>&1 || true
client ntpdate -q -p 1 2001:db8::2 >/dev/null 2>&1 || true
client timeout 8 chronyd -Q -t 6 -u root "server 192.0.2.2 iburst maxsamples 2" "cmdport 0" "pidfile $WORK/client.pid" >/dev/null 2>&1 || true
save
