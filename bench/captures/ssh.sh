# OpenSSH's client against OpenSSH's server, twice: with all defaults, and with
# few algorithms.
need sshd openssh-server
need ssh openssh-client

ssh-keygen -q -t ed25519 -N '' -f "$WORK/host"
ssh-keygen -q -t ed25519 -N '' -f "$WORK/user"
mkdir -p /run/sshd
cat >"$WORK/sshd_config" <<CONF
Port 22
HostKey $WORK/host
AuthorizedKeysFile $WORK/user.pub
StrictModes no
PidFile none
UsePAM no
CONF
server "$(command -v sshd)" -D -e -f "$WORK/sshd_config"
wait_tcp 22

options=(-F none -i "$WORK/user" -o StrictHostKeyChecking=no -o "UserKnownHostsFile=$WORK/known" -o BatchMode=yes)
record openssh tcp port 22
client ssh "${options[@]}" root@192.0.2.2 true || true
client ssh "${options[@]}" -c aes128-ctr -m hmac-sha2-256 -o KexAlgorithms=ecdh-sha2-nistp256 root@2001:db8::2 true || true
save
