# net-snmp's tools ask snmpd: versions 1, 2c and 3, with and without privacy, a
# wrong community, and a trap.
need snmpd snmpd
need snmpget snmp

mkdir -p "$WORK/snmp"
cat >"$WORK/snmpd.conf" <<CONF
agentAddress udp:161,udp6:161
rocommunity public
rocommunity sesame
createUser watcher SHA "authentication" AES "confidential"
rouser watcher priv
createUser reader SHA "authentication"
rouser reader auth
sysName server.example
CONF
export SNMP_PERSISTENT_DIR=$WORK/snmp
server snmpd -f -C -c "$WORK/snmpd.conf" -p "$WORK/snmpd.pid" -Lo
wait_udp 161
export MIBS=
record snmp udp port 161 or udp port 162
client snmpget -v 1 -c public 192.0.2.2 1.3.6.1.2.1.1.5.0 >/dev/null
client snmpgetnext -v 2c -c sesame 192.0.2.2 1.3.6.1.2.1.1 >/dev/null
client snmpbulkget -v 2c -c public 192.0.2.2 1.3.6.1.2.1.1 >/dev/null
client snmpset -v 2c -c public 192.0.2.2 1.3.6.1.2.1.1.5.0 s other >/dev/null 2>&1 || true
client snmpget -v 2c -c wrong -r 0 -t 1 192.0.2.2 1.3.6.1.2.1.1.5.0 >/dev/null 2>&1 || true
client snmpget -v 3 -u watcher -l authPriv -a SHA -A authentication -x AES -X confidential 192.0.2.2 1.3.6.1.2.1.1.5.0 >/dev/null
client snmpget -v 3 -u reader -l authNoPriv -a SHA -A authentication 192.0.2.2 1.3.6.1.2.1.1.5.0 >/dev/null
client snmptrap -v 1 -c public 192.0.2.2 1.3.6.1.4.1.8072 192.0.2.1 6 17 0
client snmptrap -v 2c -c '' 192.0.2.2 '' 1.3.6.1.4.1.8072.2.3.0.1
save
