# curl through Dante and microsocks: versions 4, 4a and 5, by address and by
# name, IPv6, with a password (hunter2, which no record may hold), refused, and
# a web server behind the proxy.
need danted dante-server
need microsocks microsocks
need curl curl
need python3 python3

echo hello >"$WORK/index.html"
server python3 -m http.server --bind :: --directory "$WORK" 8080
cat >"$WORK/danted.conf" <<CONF
logoutput: $WORK/danted.log
internal: 192.0.2.2 port = 1080
external: eth0
external: lo
external.rotation: route
user.privileged: root
user.unprivileged: nobody
clientmethod: none
socksmethod: none
client pass { from: 0.0.0.0/0 to: 0.0.0.0/0 }
socks block { from: 0.0.0.0/0 to: 192.0.2.99/32 }
socks pass { from: 0.0.0.0/0 to: 0.0.0.0/0 }
socks pass { from: 0.0.0.0/0 to: ::/0 }
CONF
server danted -f "$WORK/danted.conf"
server microsocks -i 192.0.2.2 -p 1081 -u alice -P hunter2
wait_tcp 8080
wait_tcp 1080
wait_tcp 1081

get() { client curl -sS -m 10 -o /dev/null "$@" || true; }
record dante tcp port 1080
get --socks4 192.0.2.2:1080 http://192.0.2.2:8080/
get --socks4a 192.0.2.2:1080 http://localhost:8080/
get --socks5 192.0.2.2:1080 http://192.0.2.2:8080/
get --socks5-hostname 192.0.2.2:1080 http://localhost:8080/
get --socks5 192.0.2.2:1080 http://192.0.2.99:8080/ 2>/dev/null
save
record password tcp port 1081
get --socks5 alice:hunter2@192.0.2.2:1081 'http://[2001:db8::2]:8080/'
get --socks5 alice:wrong-hunter2@192.0.2.2:1081 http://192.0.2.2:8080/ 2>/dev/null
save
