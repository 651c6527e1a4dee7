# swaks against Exim (SMTP), curl, openssl and Python's imaplib against Dovecot
# (IMAP and POP3): logins of several kinds, a message, STARTTLS and STLS. The
# password is hunter2 everywhere, which no record may hold.
need exim4 exim4-daemon-light
need dovecot dovecot-imapd
need swaks swaks
need curl curl
need python3 python3
certificate

cat >"$WORK/exim.conf" <<CONF
primary_hostname = mail.server.example
exim_user = root
exim_group = root
never_users =
spool_directory = $WORK/spool
log_file_path = $WORK/exim-%slog
tls_advertise_hosts = *
tls_certificate = $WORK/server.pem
tls_privatekey = $WORK/server.key
acl_smtp_rcpt = acl_all
acl_smtp_data = acl_all
host_lookup =
smtp_accept_keepalive = false
begin acl
acl_all:
  accept
begin routers
drop:
  driver = redirect
  data = :blackhole:
begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = \${if eq{\$auth3}{hunter2}}
  server_set_id = \$auth2
login:
  driver = plaintext
  public_name = LOGIN
  server_prompts = Username:: : Password::
  server_condition = \${if eq{\$auth2}{hunter2}}
  server_set_id = \$auth1
cram:
  driver = cram_md5
  public_name = CRAM-MD5
  server_secret = hunter2
  server_set_id = \$auth1
CONF
mkdir -p "$WORK/spool"
server exim4 -bdf -oX 192.0.2.2.25 -C "$WORK/exim.conf"
wait_tcp 25

mkdir -p "$WORK/mail"
chmod 777 "$WORK/mail"
echo 'alice:{PLAIN}hunter2' >"$WORK/users"
chmod 644 "$WORK/users"
cat >"$WORK/dovecot.conf" <<CONF
base_dir = $WORK/run
state_dir = $WORK/run
log_path = $WORK/dovecot.log
protocols = imap pop3
listen = 192.0.2.2
disable_plaintext_auth = no
auth_mechanisms = plain login cram-md5
ssl = yes
ssl_cert = <$WORK/server.pem
ssl_key = <$WORK/server.key
mail_location = maildir:$WORK/mail/%u
first_valid_uid = 1
default_login_user = nobody
default_internal_user = nobody
default_internal_group = nogroup
service stats {
  chroot =
}
passdb {
  driver = passwd-file
  args = $WORK/users
}
userdb {
  driver = static
  args = uid=nobody gid=nogroup home=$WORK/mail/%u
}
CONF
server dovecot -F -c "$WORK/dovecot.conf"
wait_tcp 143
wait_tcp 110

swak() {
	client swaks --server 192.0.2.2 --ehlo client.example --from alice@client.example --to bob@server.example,carol@server.example \
		--header 'Subject: hello' --body 'secret body' --suppress-data "$@" >"$WORK/swaks.log" 2>&1 || cat "$WORK/swaks.log"
}
record smtp tcp port 25
swak
swak --auth PLAIN --auth-user alice --auth-password hunter2
swak --auth LOGIN --auth-user alice --auth-password hunter2
swak --auth CRAM-MD5 --auth-user alice --auth-password hunter2
swak --pipeline --quit-after RCPT
swak --tls --quit-after EHLO
save

record imap tcp port 143
client python3 - <<'PY'
import imaplib
m = imaplib.IMAP4("192.0.2.2")
m.xatom("ID", '("name" "imaplib" "version" "3.0")')
m.login("alice", "hunter2")
m.select()
m.logout()
m = imaplib.IMAP4("192.0.2.2")
m.send(b"x1 LOGIN {5}\r\n"); m.readline()
m.send(b"alice {7}\r\n"); m.readline()
m.send(b"hunter2\r\n")
while not m.readline().startswith(b"x1"):
    pass
m.logout()
PY
client curl -sS imap://192.0.2.2/ -u alice:hunter2 -o /dev/null
client curl -sS imap://192.0.2.2/ -u alice:wrong-hunter2 --login-options AUTH=PLAIN -o /dev/null || true
client curl -sS imap://192.0.2.2/ -u alice:hunter2 --ssl-reqd -k -o /dev/null
save

record pop3 tcp port 110
client python3 - <<'PY'
import poplib
m = poplib.POP3("192.0.2.2")
m.capa()
m.user("alice"); m.pass_("hunter2"); m.stat(); m.quit()
PY
client curl -sS pop3://192.0.2.2/ -u alice:hunter2 --login-options AUTH=PLAIN -o /dev/null
client curl -sS pop3://192.0.2.2/ -u alice:hunter2 --login-options AUTH=LOGIN -o /dev/null
client curl -sS pop3://192.0.2.2/ -u alice:hunter2 --ssl-reqd -k -o /dev/null
save
