# Functions for the parts of the recorder. Sourcing it makes two network
# namespaces that face one another, and removes them, and every process that
# was started, at the end:
#
#   client  192.0.2.1  2001:db8::1        server  192.0.2.2  2001:db8::2
#
# $WORK is a folder for the part's files. What a part calls, in this order:
#
#   need PROGRAM PACKAGE    ends the part, naming the package, when it is missing
#   server COMMAND…         runs in the server's namespace until the part ends
#   wait_tcp PORT           until the server listens there (wait_udp for UDP)
#   record [ROOM/]NAME FILTER…   begins a capture, to be kept as
#                           internal/network/packet/ROOM/testdata/NAME.pcap
#                           (ROOM is the part's name when it is left out)
#   client COMMAND…         runs in the client's namespace and waits for it
#   save                    ends the capture and keeps it

MAX_CAPTURE=65536 # bytes of one capture: they are committed
WORK=$(mktemp -d)
chmod 755 "$WORK"
NS_CLIENT=rind-client-$$
NS_SERVER=rind-server-$$
PIDS=()
DUMP=

cleanup() {
	local pid
	for pid in ${DUMP:-} "${PIDS[@]}"; do
		kill "$pid" 2>/dev/null || true
	done
	for pid in ${DUMP:-} "${PIDS[@]}"; do
		for _ in $(seq 50); do
			kill -0 "$pid" 2>/dev/null || break
			sleep 0.1
		done
		kill -9 "$pid" 2>/dev/null || true
	done
	ip netns del "$NS_CLIENT" 2>/dev/null || true
	ip netns del "$NS_SERVER" 2>/dev/null || true
	rm -rf "$WORK"
}
trap cleanup EXIT

ip netns add "$NS_CLIENT"
ip netns add "$NS_SERVER"
ip -n "$NS_CLIENT" link add eth0 type veth peer name eth0 netns "$NS_SERVER"
for end in "$NS_CLIENT 1" "$NS_SERVER 2"; do
	read -r ns host <<<"$end"
	ip -n "$ns" link set lo up
	ip -n "$ns" link set eth0 address "02:00:00:00:00:0$host" mtu 1500
	ip -n "$ns" addr add "192.0.2.$host/24" dev eth0
	ip -n "$ns" addr add "2001:db8::$host/64" dev eth0 nodad
	ip -n "$ns" link set eth0 up
done

need() {
	command -v "$1" >/dev/null && return
	echo "captures: $PART needs $1: apt-get install $2" >&2
	exit 3
}

client() { ip netns exec "$NS_CLIENT" "$@"; }

server() {
	ip netns exec "$NS_SERVER" "$@" >>"$WORK/server.log" 2>&1 </dev/null &
	PIDS+=($!)
}

# listens FLAGS PORT polls for a listening socket in the server's namespace.
listens() {
	for _ in $(seq 150); do
		ip netns exec "$NS_SERVER" ss -Hn"$1" "sport = :$2" | grep -q . && return
		sleep 0.1
	done
	echo "captures: $PART: nobody listens on port $2; the server said:" >&2
	tail -n 20 "$WORK/server.log" >&2 || true
	exit 1
}
wait_tcp() { listens lt "$1"; }
wait_udp() { listens lu "$1"; }

record() {
	local name=$1
	shift
	case $name in */*) ;; *) name=$PART/$name ;; esac
	KEEP=$ROOT/internal/network/packet/${name%/*}/testdata/${name##*/}.pcap
	: >"$WORK/tcpdump.log" # what the last one said
	# Without -Z tcpdump would give the file to a user of its own.
	ip netns exec "$NS_CLIENT" tcpdump -i eth0 -n -U --immediate-mode -Z root -s 65535 -w "$WORK/capture.pcap" "$@" 2>"$WORK/tcpdump.log" &
	DUMP=$!
	for _ in $(seq 100); do
		grep -q 'listening on' "$WORK/tcpdump.log" && return
		sleep 0.1
	done
	cat "$WORK/tcpdump.log" >&2
	exit 1
}

save() {
	sleep 1 # what is on its way, and the FINs
	kill -INT "$DUMP"
	wait "$DUMP" || true
	DUMP=
	local size
	size=$(stat -c %s "$WORK/capture.pcap")
	if [ "$size" -le 24 ]; then
		echo "captures: $PART: no packet was recorded for $KEEP; the server said:" >&2
		tail -n 20 "$WORK/server.log" >&2 || true
		exit 1
	fi
	if [ "$size" -gt $MAX_CAPTURE ]; then
		echo "captures: $PART: $KEEP would have $size bytes, more than $MAX_CAPTURE: make the conversation smaller" >&2
		exit 1
	fi
	mkdir -p "$(dirname "$KEEP")"
	cp "$WORK/capture.pcap" "$KEEP"
	chmod 644 "$KEEP"
	echo "   ${KEEP#"$ROOT"/} ($size bytes)"
}

# certificate makes a key and a self-signed certificate for server.example in
# $WORK/server.key and $WORK/server.pem.
certificate() {
	need openssl openssl
	openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=server.example \
		-addext subjectAltName=DNS:server.example -keyout "$WORK/server.key" -out "$WORK/server.pem" 2>/dev/null
}
