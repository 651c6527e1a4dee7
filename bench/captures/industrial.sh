# mbpoll asks pymodbus's server: coils and registers are read and written, and
# an address that is not there gives an exception. Debian has no DNP3 program.
need mbpoll mbpoll
/usr/bin/python3 -c 'import pymodbus, serial_asyncio' 2>/dev/null || need pymodbus 'python3-pymodbus python3-serial-asyncio'

cat >"$WORK/server.py" <<'PY'
from pymodbus.datastore import ModbusSequentialDataBlock, ModbusServerContext, ModbusSlaveContext
from pymodbus.server import StartTcpServer
block = lambda: ModbusSequentialDataBlock(0, [7] * 20)
store = ModbusSlaveContext(di=block(), co=block(), hr=block(), ir=block())
StartTcpServer(context=ModbusServerContext(slaves=store, single=True), address=("192.0.2.2", 502))
PY
server /usr/bin/python3 "$WORK/server.py"
wait_tcp 502
record modbus tcp port 502
client mbpoll -m tcp -a 1 -r 1 -c 4 -1 192.0.2.2 >/dev/null
client mbpoll -m tcp -a 1 -t 0 -r 1 -c 3 -1 192.0.2.2 >/dev/null
client mbpoll -m tcp -a 17 -t 3 -r 2 -c 2 -1 192.0.2.2 >/dev/null
client mbpoll -m tcp -a 1 -t 4 -r 3 192.0.2.2 42 >/dev/null
client mbpoll -m tcp -a 1 -r 300 -c 4 -1 192.0.2.2 >/dev/null 2>&1 || true
save
