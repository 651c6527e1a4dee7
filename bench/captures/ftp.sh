# curl against vsftpd: a login that fails, an anonymous one with transfers, and
# AUTH TLS. The password is hunter2, which no record may hold.
need vsftpd vsftpd
need curl curl
certificate

mkdir -p "$WORK/ftp/in" "$WORK/empty"
chmod 777 "$WORK/ftp/in"
echo hello >"$WORK/ftp/hello.txt"
cat >"$WORK/vsftpd.conf" <<CONF
listen=YES
background=NO
listen_address=192.0.2.2
anonymous_enable=YES
local_enable=YES
write_enable=YES
anon_upload_enable=YES
anon_mkdir_write_enable=YES
anon_other_write_enable=YES
anon_root=$WORK/ftp
ftp_username=daemon
nopriv_user=nobody
chown_uploads=NO
secure_chroot_dir=$WORK/empty
seccomp_sandbox=NO
xferlog_enable=NO
rsa_cert_file=$WORK/server.pem
rsa_private_key_file=$WORK/server.key
ssl_enable=YES
allow_anon_ssl=YES
force_local_logins_ssl=NO
force_local_data_ssl=NO
require_ssl_reuse=NO
CONF
chown root "$WORK/vsftpd.conf"
server vsftpd "$WORK/vsftpd.conf"
wait_tcp 21

record ftp tcp port 21
client curl -sS -u no-such-user:hunter2 ftp://192.0.2.2/hello.txt -o /dev/null || true
client curl -sS -u anonymous:hunter2@client.example ftp://192.0.2.2/hello.txt -o /dev/null
client curl -sS -T "$WORK/ftp/hello.txt" ftp://192.0.2.2/in/up.txt -Q "-RNFR up.txt" -Q "-RNTO new name.txt" -Q "-DELE new name.txt"
client curl -sS --ssl-reqd -k ftp://192.0.2.2/hello.txt -o /dev/null
save
