# mbpoll asks pymodbus's server: coils and registers are read and written, and
# an address that is not there gives an exception.
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

# DNP3: opendnp3 as master and outstation, in its Python binding. The master ends
# with its last command: the binding aborts when that one's result comes.
DNP3_PYTHON=${DNP3_PYTHON:-/usr/bin/python3}
"$DNP3_PYTHON" -c 'import pydnp3' 2>/dev/null || {
	echo "captures: $PART needs opendnp3, which Debian lacks: pip install dnp3-python==0.3.0b1 in a virtual environment, and DNP3_PYTHON=its python" >&2
	exit 3
}
cat >"$WORK/outstation.py" <<'PY'
import time
from dnp3_python.dnp3station.outstation import MyOutStation
station = MyOutStation(outstation_ip="192.0.2.2", master_id=1, outstation_id=10)
station.start()
time.sleep(60)
PY
cat >"$WORK/master.py" <<'PY'
import time
from pydnp3 import opendnp3
from dnp3_python.dnp3station.master import MyMaster
m = MyMaster(outstation_ip="192.0.2.2", master_id=1, outstation_id=10)
m.start()
time.sleep(2)
m.master.ScanRange(opendnp3.GroupVariationID(30, 1), 0, 3)
time.sleep(0.5)
m.master.PerformFunction("freeze", opendnp3.FunctionCode.IMMED_FREEZE, [opendnp3.Header.AllObjects(20, 0)], opendnp3.TaskConfig().Default())
time.sleep(0.5)
m.send_direct_operate_command(opendnp3.AnalogOutputDouble64(1.5), 1)
time.sleep(1)
PY
server "$DNP3_PYTHON" "$WORK/outstation.py"
wait_tcp 20000
record dnp3 tcp port 20000
client "$DNP3_PYTHON" "$WORK/master.py" >"$WORK/client.log" 2>&1 || true
save
