# FreeRDP against xrdp: TLS, standard RDP security in the clear, and a client
# that asks for what the server does not have.
need xrdp xrdp
need xfreerdp freerdp2-x11
need Xvfb xvfb

certificate
# serve PORT LEVEL
serve() {
	sed -e "s|^port=.*|port=$1|; s|^security_layer=.*|security_layer=$2|; s|^certificate=.*|certificate=$WORK/server.pem|; s|^key_file=.*|key_file=$WORK/server.key|" \
		-e "s|^LogFile=.*|LogFile=$WORK/xrdp-$1.log|; s|^crypt_level=.*|crypt_level=none|" /etc/xrdp/xrdp.ini >"$WORK/xrdp-$1.ini"
	server xrdp --nodaemon --config "$WORK/xrdp-$1.ini"
	wait_tcp "$1"
}
# connect PORT SECURITY
connect() {
	client timeout 5 xfreerdp "/v:192.0.2.2:$1" "/sec:$2" /u:alice /p:secret /client-hostname:DESK1 /cert:ignore +auth-only >"$WORK/client.log" 2>&1 </dev/null || true
}
# FreeRDP wants a display even to do no more than log in.
server Xvfb -displayfd 3 -screen 0 640x480x16 3>"$WORK/display"
for _ in $(seq 100); do [ -s "$WORK/display" ] && break; sleep 0.1; done
export DISPLAY=:$(cat "$WORK/display")
serve 3389 negotiate
record xrdp tcp port 3389
connect 3389 tls
connect 3389 rdp
connect 3389 nla
save
