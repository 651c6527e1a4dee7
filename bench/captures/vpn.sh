# OpenVPN over UDP, plain, with tls-auth and with tls-crypt, and over TCP; and
# WireGuard, of the kernel, else of wireguard-go.
need openvpn openvpn
need openssl openssl

certificate
cp "$WORK/server.pem" "$WORK/ca.pem"
openvpn --genkey secret "$WORK/ta.key"

# tunnel NAME PROTO PORT OPTION…
tunnel() {
	local name=$1 proto=$2 port=$3
	shift 3
	local listen=$proto dial=$proto
	if [ "$proto" = tcp ]; then listen=tcp-server dial=tcp-client; fi
	local common=(--dev null --verb 1 --ca "$WORK/ca.pem" --cert "$WORK/server.pem" --key "$WORK/server.key" --cipher AES-256-GCM --tls-exit)
	server openvpn --proto "$listen" --lport "$port" --tls-server --dh none "${common[@]}" "$@"
	if [ "$proto" = tcp ]; then wait_tcp "$port"; else wait_udp "$port"; fi
	record "$name" "$proto" port "$port"
	client timeout 3 openvpn --proto "$dial" --remote 192.0.2.2 "$port" --nobind --tls-client "${common[@]}" "$@" >"$WORK/client.log" 2>&1 || true
	save
}
tunnel openvpn udp 1194
tunnel openvpn-auth udp 1195 --tls-auth "$WORK/ta.key" --auth SHA256
tunnel openvpn-crypt udp 1196 --tls-crypt "$WORK/ta.key"
tunnel openvpn-tcp tcp 1197

need wg wireguard-tools
(umask 077 && wg genkey >"$WORK/a.key" && wg genkey >"$WORK/b.key")
# The names differ: wireguard-go has its sockets by name in /var/run/wireguard.
a=wgc$$ b=wgs$$
if ip -n "$NS_CLIENT" link add "$a" type wireguard 2>/dev/null; then
	ip -n "$NS_SERVER" link add "$b" type wireguard
else
	need wireguard-go wireguard-go
	export WG_PROCESS_FOREGROUND=1 LOG_LEVEL=error
	server wireguard-go -f "$b"
	ip netns exec "$NS_CLIENT" wireguard-go -f "$a" >>"$WORK/server.log" 2>&1 </dev/null &
	PIDS+=($!)
	for _ in $(seq 100); do
		if client wg show "$a" >/dev/null 2>&1 && ip netns exec "$NS_SERVER" wg show "$b" >/dev/null 2>&1; then break; fi
		sleep 0.1
	done
fi
ip netns exec "$NS_SERVER" wg set "$b" listen-port 51820 private-key "$WORK/b.key" peer "$(wg pubkey <"$WORK/a.key")" allowed-ips 10.9.0.1/32
client wg set "$a" private-key "$WORK/a.key" peer "$(wg pubkey <"$WORK/b.key")" allowed-ips 10.9.0.2/32 endpoint 192.0.2.2:51820
ip -n "$NS_CLIENT" addr add 10.9.0.1/24 dev "$a"
ip -n "$NS_SERVER" addr add 10.9.0.2/24 dev "$b"
record wireguard udp port 51820
ip -n "$NS_SERVER" link set "$b" up
ip -n "$NS_CLIENT" link set "$a" up
wait_udp 51820
client ping -c 2 -W 5 10.9.0.2 >/dev/null
save
