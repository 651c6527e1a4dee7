# smbclient against smbd: SMB 3.1.1, 2.0.2, SMB1, over ports 445 and 139, a
# wrong password and encryption.
need smbd samba
need smbclient smbclient

mkdir -p "$WORK/samba/share"
cat >"$WORK/smb.conf" <<CONF
[global]
workgroup = EXAMPLE
netbios name = FILES
server min protocol = NT1
client min protocol = NT1
interfaces = eth0
bind interfaces only = yes
smb ports = 445 139
map to guest = never
passdb backend = tdbsam:$WORK/samba/passdb.tdb
private dir = $WORK/samba
lock directory = $WORK/samba
state directory = $WORK/samba
cache directory = $WORK/samba
pid directory = $WORK/samba
ncalrpc dir = $WORK/samba
log file = $WORK/samba/log
load printers = no
[share]
path = $WORK/samba/share
CONF
echo hello >"$WORK/samba/share/hello.txt"
printf 'swordfish\nswordfish\n' | smbpasswd -s -a -c "$WORK/smb.conf" root >/dev/null 2>&1
server smbd -F --no-process-group -s "$WORK/smb.conf"
wait_tcp 445

visit() { client smbclient -s "$WORK/smb.conf" "$@" -c 'get hello.txt /dev/null' >/dev/null 2>&1; }
record smb tcp port 445
visit //192.0.2.2/share -U 'root%swordfish' -m SMB3
visit //192.0.2.2/share -U 'root%swordfish' -m SMB2_02
visit //192.0.2.2/share -U 'EXAMPLE\mallory%wrong' || true
visit //192.0.2.2/share -U 'root%swordfish' -m SMB3 --client-protection=encrypt || true
visit //192.0.2.2/share -U 'root%swordfish' -m NT1
save
record smb139 tcp port 139
visit //192.0.2.2/share -p 139 -n LAPTOP -U 'root%swordfish' -m SMB3
save
