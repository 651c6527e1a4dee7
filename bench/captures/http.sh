# curl and Python's http.client against nginx: keep-alive, pipelining, chunked
# and counted bodies, HEAD, 304, an upload, an unknown path.
need nginx nginx-light
need curl curl
need python3 python3

mkdir -p "$WORK/www" "$WORK/tmp"
echo '<p>Hello</p>' >"$WORK/www/index.html"
head -c 3000 /dev/zero | tr '\0' 'x' >"$WORK/www/big.txt"
cat >"$WORK/nginx.conf" <<CONF
daemon off; user root; pid $WORK/nginx.pid; error_log $WORK/error.log;
events { worker_connections 64; }
http {
	access_log off;
	types { text/html html; text/plain txt; }
	client_body_temp_path $WORK/tmp; proxy_temp_path $WORK/tmp; fastcgi_temp_path $WORK/tmp; uwsgi_temp_path $WORK/tmp; scgi_temp_path $WORK/tmp;
	server {
		listen 80; listen [::]:80; server_name server.example;
		root $WORK/www; if_modified_since before;
		location /chunked { gzip on; gzip_min_length 1; gzip_types text/plain; alias $WORK/www/big.txt; default_type text/plain; }
		location /upload { client_max_body_size 1m; return 204; }
	}
	server { listen 82 http2; root $WORK/www; }
}
CONF
server nginx -c "$WORK/nginx.conf" -e "$WORK/error.log"
wait_tcp 80

host=(--resolve server.example:80:192.0.2.2)
record curl tcp port 80
client curl -sS "${host[@]}" -A 'curl-test/1.0' 'http://server.example/?q=secret' http://server.example/big.txt -o /dev/null -o /dev/null
client curl -sS "${host[@]}" -I http://server.example/big.txt -o /dev/null
client curl -sS "${host[@]}" -H 'Accept-Encoding: gzip' http://server.example/chunked -o /dev/null
client curl -sS "${host[@]}" -H 'If-Modified-Since: Tue, 01 Jan 2030 00:00:00 GMT' http://server.example/index.html -o /dev/null
client curl -sS "${host[@]}" -u 'alice:hunter2' -H 'Transfer-Encoding: chunked' -d @"$WORK/www/big.txt" http://server.example/upload -o /dev/null
client curl -sS -0 'http://[2001:db8::2]/nowhere' -o /dev/null
save

record pipelined tcp port 80
client python3 - <<'PY'
import socket
s = socket.create_connection(("192.0.2.2", 80))
s.sendall(b"GET / HTTP/1.1\r\nHost: server.example\r\n\r\nHEAD /big.txt HTTP/1.1\r\nHost: server.example\r\n\r\n"
          b"GET /nowhere HTTP/1.1\r\nHost: server.example\r\nUser-Agent: pipe\r\nConnection: close\r\n\r\n")
while s.recv(4096):
    pass
PY
save

record h2c tcp port 82
client curl -sS --http2-prior-knowledge http://192.0.2.2:82/ -o /dev/null
save
