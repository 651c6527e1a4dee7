# aioquic's client against its server, in versions 1 and 2. Debian 12 has no
# program that speaks QUIC: PYTHON names one that can import aioquic.
need openssl openssl
PYTHON=${PYTHON:-python3}
"$PYTHON" -c 'import aioquic' 2>/dev/null || {
	echo "captures: $PART needs aioquic: python3 -m venv DIR; DIR/bin/pip install aioquic; PYTHON=DIR/bin/python" >&2
	exit 3
}

certificate
cat >"$WORK/server.py" <<'PY'
import asyncio, sys
from aioquic.asyncio import serve
from aioquic.quic.configuration import QuicConfiguration

async def main():
    c = QuicConfiguration(is_client=False, alpn_protocols=["h3"])
    c.load_cert_chain(sys.argv[1], sys.argv[2])
    await serve("0.0.0.0", 443, configuration=c)
    await asyncio.Future()

asyncio.run(main())
PY
cat >"$WORK/client.py" <<'PY'
import asyncio, ssl, sys
from aioquic.asyncio import connect
from aioquic.quic.configuration import QuicConfiguration

async def main():
    c = QuicConfiguration(is_client=True, supported_versions=[int(sys.argv[1], 0)], alpn_protocols=["h3", "hq-interop"], verify_mode=ssl.CERT_NONE, server_name="server.example")
    async with connect("192.0.2.2", 443, configuration=c) as q:
        await q.ping()

asyncio.run(main())
PY
server "$PYTHON" "$WORK/server.py" "$WORK/server.pem" "$WORK/server.key"
wait_udp 443
record aioquic udp port 443
client timeout 10 "$PYTHON" "$WORK/client.py" 1
client timeout 10 "$PYTHON" "$WORK/client.py" 0x6b3343cf
save
