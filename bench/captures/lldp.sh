# lldpd announces the server by LLDP, and the client by CDP.
need lldpd lldpd

record announcements ether proto 0x88cc or ether dst 01:00:0c:cc:cc:cc
mkdir -p "$WORK/lldpd" /run/lldpd
server lldpd -d -c -I eth0 -u "$WORK/lldpd/server" -S 'Debian GNU/Linux test' -m 192.0.2.2
sleep 5
kill "${PIDS[-1]}"
wait "${PIDS[-1]}" || true
ip netns exec "$NS_CLIENT" lldpd -d -cc -I eth0 -u "$WORK/lldpd/client" -S 'Debian GNU/Linux test' -P 'test platform' -m 192.0.2.1 >/dev/null 2>&1 &
PIDS+=($!)
sleep 5
save
