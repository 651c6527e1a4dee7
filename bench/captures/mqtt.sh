# mosquitto: a message is published in the clear, which is named after its port
# (nothing is read in MQTT), and over TLS, whose handshake is read as any.
need mosquitto mosquitto
need mosquitto_pub mosquitto-clients

certificate
cat >"$WORK/mosquitto.conf" <<CONF
listener 1883 192.0.2.2
listener 8883 192.0.2.2
certfile $WORK/server.pem
keyfile $WORK/server.key
allow_anonymous true
user root
CONF
server mosquitto -c "$WORK/mosquitto.conf"
wait_tcp 1883
wait_tcp 8883

record tls/mosquitto tcp port 1883 or tcp port 8883
client mosquitto_pub -h 192.0.2.2 -p 1883 -i client-1 -t lamps/kitchen -m on
client mosquitto_pub -h 192.0.2.2 -p 8883 -i client-2 -t lamps/kitchen -m off --cafile "$WORK/server.pem" --insecure
save
