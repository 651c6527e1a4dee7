# openssl s_client against openssl s_server: TLS 1.0 to 1.3, a resumed session
# of 1.2 and of 1.3, a HelloRetryRequest, alerts of either side, and curl.
need openssl openssl
need curl curl

openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj '/C=XX/O=Example, Ltd./OU=Tests/CN=server.example' \
	-addext 'subjectAltName=DNS:server.example,DNS:*.Server.example,IP:192.0.2.2' \
	-keyout "$WORK/server.key" -out "$WORK/server.pem" 2>/dev/null

# serve PORT OPTION…
serve() {
	local port=$1
	shift
	server openssl s_server -accept "$port" -cert "$WORK/server.pem" -key "$WORK/server.key" \
		-cipher DEFAULT@SECLEVEL=0 -alpn h2,http/1.1 -www -quiet "$@"
	wait_tcp "$port"
}
# connect PORT OPTION…; what it says and how it ends does not matter
connect() {
	local port=$1
	shift
	client timeout 5 openssl s_client -connect "192.0.2.2:$port" -servername Server.example \
		-cipher DEFAULT@SECLEVEL=0 -alpn h2,http/1.1 "$@" </dev/null >"$WORK/client.log" 2>&1 || true
}

serve 4431
serve 4432 -groups P-384
serve 4433 -no_tls1_3 -no_tls1_2

for version in 1 1_1 1_2 1_3; do
	record "tls$version" tcp port 4431
	connect 4431 "-tls$version"
	save
done

record resumed12 tcp port 4431
connect 4431 -tls1_2 -sess_out "$WORK/session"
connect 4431 -tls1_2 -sess_in "$WORK/session"
save

record resumed13 tcp port 4431
# The tickets come behind the handshake: the answer is waited for.
printf 'GET / HTTP/1.0\r\n\r\n' >"$WORK/request"
client timeout 5 openssl s_client -connect 192.0.2.2:4431 -tls1_3 -quiet -no_ign_eof -sess_out "$WORK/session" \
	< <(cat "$WORK/request"; sleep 1) >"$WORK/client.log" 2>&1 || true
connect 4431 -tls1_3 -sess_in "$WORK/session"
save

record retry tcp port 4432
connect 4432 -tls1_3 -groups X25519:P-384
save

record unknown_ca tcp port 4431
connect 4431 -tls1_2 -verify_return_error -verify 1
save

record protocol_version tcp port 4433
connect 4433 -tls1_2
save

record curl tcp port 4431
client curl -sS -k --http1.1 --resolve server.example:4431:192.0.2.2 https://server.example:4431/ -o /dev/null
save
