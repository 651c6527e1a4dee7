# SIPp against SIPp: a call over UDP, one over TCP, and a call to nobody.
need sipp sip-tester

server sipp -sn uas -i 192.0.2.2 -p 5060 -nostdin
server sipp -sn uas -i 192.0.2.2 -p 5062 -t t1 -nostdin
wait_udp 5060
wait_tcp 5062

call() { client timeout 30 sipp -sn uac -i 192.0.2.1 -m 1 -d 200 -nostdin "$@" >"$WORK/client.log" 2>&1 || true; }
record udp udp port 5060
call -p 5070 192.0.2.2:5060
save
record tcp tcp port 5062
call -p 5071 -t t1 192.0.2.2:5062
save
record unanswered udp port 5064
call -p 5072 -recv_timeout 1500 -max_retrans 2 192.0.2.2:5064
save
