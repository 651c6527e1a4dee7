# GNU inetutils' telnet against its telnetd: options, the terminal's type, a
# login. What is typed (alice, hunter2) may be in no record.
need telnet inetutils-telnet
need telnetd inetutils-telnetd
need python3 python3

cat >"$WORK/login" <<'SH'
#!/bin/sh
printf 'web login: '
read -r name
printf 'Password: '
read -r password
echo "Welcome, $name"
SH
chmod 755 "$WORK/login"
# telnetd wants its connection from inetd.
server python3 -c '
import os, socket, sys
s = socket.create_server(("192.0.2.2", 23))
while True:
    c, _ = s.accept()
    if os.fork() == 0:
        for fd in (0, 1, 2):
            os.dup2(c.fileno(), fd)
        os.execvp("telnetd", ["telnetd", "-h", "-E", sys.argv[1]])
    c.close()
' "$WORK/login"
wait_tcp 23

record telnet tcp port 23
(sleep 2; echo alice; sleep 1; echo hunter2; sleep 1) | TERM=xterm-256color client timeout 20 telnet 192.0.2.2 >"$WORK/client.log" 2>&1 || true
save
