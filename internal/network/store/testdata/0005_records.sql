CREATE TABLE record_neighbors (
	id BIGINT NOT NULL,
	tap TEXT NOT NULL,
	"time_us" BIGINT NOT NULL,
	"mac" BYTEA,
	"addr" BYTEA,
	"vlan" INTEGER NOT NULL,
	"source" TEXT NOT NULL,
	"kind" TEXT NOT NULL,
	"target" BYTEA,
	"count" BIGINT NOT NULL
);
CREATE INDEX record_neighbors_time ON record_neighbors (time_us, id);
CREATE INDEX record_neighbors_mac ON record_neighbors ("mac", time_us);
CREATE INDEX record_neighbors_addr ON record_neighbors ("addr", time_us);

CREATE TABLE record_dhcp (
	id BIGINT NOT NULL,
	tap TEXT NOT NULL,
	"time_us" BIGINT NOT NULL,
	"client" BYTEA,
	"client_port" INTEGER NOT NULL,
	"server" BYTEA,
	"server_port" INTEGER NOT NULL,
	"proto" SMALLINT NOT NULL,
	"vlan" INTEGER NOT NULL,
	"version" SMALLINT NOT NULL,
	"type" TEXT NOT NULL,
	"mac" BYTEA,
	"addr" BYTEA,
	"host_name" TEXT NOT NULL,
	"vendor_class" TEXT NOT NULL,
	"fingerprint" TEXT NOT NULL,
	"router" BYTEA,
	"domain" TEXT NOT NULL,
	"lease_us" BIGINT NOT NULL
);
CREATE INDEX record_dhcp_time ON record_dhcp (time_us, id);
CREATE INDEX record_dhcp_mac ON record_dhcp ("mac", time_us);
CREATE INDEX record_dhcp_addr ON record_dhcp ("addr", time_us);

CREATE TABLE record_http (
	id BIGINT NOT NULL,
	tap TEXT NOT NULL,
	"time_us" BIGINT NOT NULL,
	"client" BYTEA,
	"client_port" INTEGER NOT NULL,
	"server" BYTEA,
	"server_port" INTEGER NOT NULL,
	"proto" SMALLINT NOT NULL,
	"vlan" INTEGER NOT NULL,
	"version" TEXT NOT NULL,
	"method" TEXT NOT NULL,
	"host" TEXT NOT NULL,
	"path" TEXT NOT NULL,
	"agent" TEXT NOT NULL,
	"status" INTEGER NOT NULL,
	"content_type" TEXT NOT NULL,
	"length" BIGINT NOT NULL,
	"software" TEXT NOT NULL,
	"latency_us" BIGINT NOT NULL
);
CREATE INDEX record_http_time ON record_http (time_us, id);
CREATE INDEX record_http_client ON record_http ("client", time_us);
CREATE INDEX record_http_host ON record_http ("host", time_us);

CREATE TABLE record_ssh (
	id BIGINT NOT NULL,
	tap TEXT NOT NULL,
	"time_us" BIGINT NOT NULL,
	"client" BYTEA,
	"client_port" INTEGER NOT NULL,
	"server" BYTEA,
	"server_port" INTEGER NOT NULL,
	"proto" SMALLINT NOT NULL,
	"vlan" INTEGER NOT NULL,
	"client_banner" TEXT NOT NULL,
	"server_banner" TEXT NOT NULL,
	"hassh" TEXT NOT NULL,
	"hassh_server" TEXT NOT NULL
);
CREATE INDEX record_ssh_time ON record_ssh (time_us, id);
CREATE INDEX record_ssh_client ON record_ssh ("client", time_us);

CREATE TABLE record_smb (
	id BIGINT NOT NULL,
	tap TEXT NOT NULL,
	"time_us" BIGINT NOT NULL,
	"client" BYTEA,
	"client_port" INTEGER NOT NULL,
	"server" BYTEA,
	"server_port" INTEGER NOT NULL,
	"proto" SMALLINT NOT NULL,
	"vlan" INTEGER NOT NULL,
	"dialect" TEXT NOT NULL,
	"signing" TEXT NOT NULL,
	"trees" TEXT NOT NULL,
	"host" TEXT NOT NULL,
	"user" TEXT NOT NULL,
	"domain" TEXT NOT NULL
);
CREATE INDEX record_smb_time ON record_smb (time_us, id);
CREATE INDEX record_smb_client ON record_smb ("client", time_us);
CREATE INDEX record_smb_host ON record_smb ("host", time_us);

CREATE TABLE record_rdp (
	id BIGINT NOT NULL,
	tap TEXT NOT NULL,
	"time_us" BIGINT NOT NULL,
	"client" BYTEA,
	"client_port" INTEGER NOT NULL,
	"server" BYTEA,
	"server_port" INTEGER NOT NULL,
	"proto" SMALLINT NOT NULL,
	"vlan" INTEGER NOT NULL,
	"cookie" TEXT NOT NULL,
	"offered" TEXT NOT NULL,
	"selected" TEXT NOT NULL,
	"name" TEXT NOT NULL
);
CREATE INDEX record_rdp_time ON record_rdp (time_us, id);
CREATE INDEX record_rdp_client ON record_rdp ("client", time_us);
CREATE INDEX record_rdp_name ON record_rdp ("name", time_us);

CREATE TABLE record_mail (
	id BIGINT NOT NULL,
	tap TEXT NOT NULL,
	"time_us" BIGINT NOT NULL,
	"client" BYTEA,
	"client_port" INTEGER NOT NULL,
	"server" BYTEA,
	"server_port" INTEGER NOT NULL,
	"proto" SMALLINT NOT NULL,
	"vlan" INTEGER NOT NULL,
	"service" TEXT NOT NULL,
	"banner" TEXT NOT NULL,
	"hello" TEXT NOT NULL,
	"mail_from" TEXT NOT NULL,
	"mail_to" TEXT NOT NULL,
	"user" TEXT NOT NULL,
	"starttls" SMALLINT NOT NULL
);
CREATE INDEX record_mail_time ON record_mail (time_us, id);
CREATE INDEX record_mail_client ON record_mail ("client", time_us);

CREATE TABLE record_ftp (
	id BIGINT NOT NULL,
	tap TEXT NOT NULL,
	"time_us" BIGINT NOT NULL,
	"client" BYTEA,
	"client_port" INTEGER NOT NULL,
	"server" BYTEA,
	"server_port" INTEGER NOT NULL,
	"proto" SMALLINT NOT NULL,
	"vlan" INTEGER NOT NULL,
	"banner" TEXT NOT NULL,
	"user" TEXT NOT NULL,
	"logged_in" SMALLINT NOT NULL,
	"starttls" SMALLINT NOT NULL,
	"files" TEXT NOT NULL
);
CREATE INDEX record_ftp_time ON record_ftp (time_us, id);
CREATE INDEX record_ftp_client ON record_ftp ("client", time_us);

CREATE TABLE record_telnet (
	id BIGINT NOT NULL,
	tap TEXT NOT NULL,
	"time_us" BIGINT NOT NULL,
	"client" BYTEA,
	"client_port" INTEGER NOT NULL,
	"server" BYTEA,
	"server_port" INTEGER NOT NULL,
	"proto" SMALLINT NOT NULL,
	"vlan" INTEGER NOT NULL,
	"banner" TEXT NOT NULL,
	"terminal" TEXT NOT NULL,
	"options" TEXT NOT NULL
);
CREATE INDEX record_telnet_time ON record_telnet (time_us, id);
CREATE INDEX record_telnet_client ON record_telnet ("client", time_us);

CREATE TABLE record_sip (
	id BIGINT NOT NULL,
	tap TEXT NOT NULL,
	"time_us" BIGINT NOT NULL,
	"client" BYTEA,
	"client_port" INTEGER NOT NULL,
	"server" BYTEA,
	"server_port" INTEGER NOT NULL,
	"proto" SMALLINT NOT NULL,
	"vlan" INTEGER NOT NULL,
	"method" TEXT NOT NULL,
	"uri" TEXT NOT NULL,
	"sip_from" TEXT NOT NULL,
	"sip_to" TEXT NOT NULL,
	"call_id" TEXT NOT NULL,
	"agent" TEXT NOT NULL,
	"status" INTEGER NOT NULL,
	"latency_us" BIGINT NOT NULL
);
CREATE INDEX record_sip_time ON record_sip (time_us, id);
CREATE INDEX record_sip_client ON record_sip ("client", time_us);

CREATE TABLE record_rtsp (
	id BIGINT NOT NULL,
	tap TEXT NOT NULL,
	"time_us" BIGINT NOT NULL,
	"client" BYTEA,
	"client_port" INTEGER NOT NULL,
	"server" BYTEA,
	"server_port" INTEGER NOT NULL,
	"proto" SMALLINT NOT NULL,
	"vlan" INTEGER NOT NULL,
	"method" TEXT NOT NULL,
	"url" TEXT NOT NULL,
	"agent" TEXT NOT NULL,
	"software" TEXT NOT NULL,
	"status" INTEGER NOT NULL
);
CREATE INDEX record_rtsp_time ON record_rtsp (time_us, id);
CREATE INDEX record_rtsp_client ON record_rtsp ("client", time_us);

CREATE TABLE record_socks (
	id BIGINT NOT NULL,
	tap TEXT NOT NULL,
	"time_us" BIGINT NOT NULL,
	"client" BYTEA,
	"client_port" INTEGER NOT NULL,
	"server" BYTEA,
	"server_port" INTEGER NOT NULL,
	"proto" SMALLINT NOT NULL,
	"vlan" INTEGER NOT NULL,
	"version" SMALLINT NOT NULL,
	"command" TEXT NOT NULL,
	"host" TEXT NOT NULL,
	"addr" BYTEA,
	"port" INTEGER NOT NULL,
	"user" TEXT NOT NULL,
	"answered" SMALLINT NOT NULL,
	"reply" SMALLINT NOT NULL
);
CREATE INDEX record_socks_time ON record_socks (time_us, id);
CREATE INDEX record_socks_addr ON record_socks ("addr", time_us);
CREATE INDEX record_socks_host ON record_socks ("host", time_us);

CREATE TABLE record_ntp (
	id BIGINT NOT NULL,
	tap TEXT NOT NULL,
	"time_us" BIGINT NOT NULL,
	"client" BYTEA,
	"client_port" INTEGER NOT NULL,
	"server" BYTEA,
	"server_port" INTEGER NOT NULL,
	"proto" SMALLINT NOT NULL,
	"vlan" INTEGER NOT NULL,
	"version" SMALLINT NOT NULL,
	"mode" TEXT NOT NULL,
	"stratum" SMALLINT NOT NULL,
	"reference" TEXT NOT NULL,
	"offset_us" BIGINT NOT NULL,
	"delay_us" BIGINT NOT NULL,
	"root_delay_us" BIGINT NOT NULL
);
CREATE INDEX record_ntp_time ON record_ntp (time_us, id);
CREATE INDEX record_ntp_client ON record_ntp ("client", time_us);

CREATE TABLE record_snmp (
	id BIGINT NOT NULL,
	tap TEXT NOT NULL,
	"time_us" BIGINT NOT NULL,
	"client" BYTEA,
	"client_port" INTEGER NOT NULL,
	"server" BYTEA,
	"server_port" INTEGER NOT NULL,
	"proto" SMALLINT NOT NULL,
	"vlan" INTEGER NOT NULL,
	"version" TEXT NOT NULL,
	"operation" TEXT NOT NULL,
	"community" TEXT NOT NULL,
	"user" TEXT NOT NULL,
	"security" TEXT NOT NULL,
	"object" TEXT NOT NULL,
	"error" SMALLINT NOT NULL
);
CREATE INDEX record_snmp_time ON record_snmp (time_us, id);
CREATE INDEX record_snmp_client ON record_snmp ("client", time_us);

CREATE TABLE record_links (
	id BIGINT NOT NULL,
	tap TEXT NOT NULL,
	"time_us" BIGINT NOT NULL,
	"protocol" TEXT NOT NULL,
	"mac" BYTEA,
	"vlan" INTEGER NOT NULL,
	"device" TEXT NOT NULL,
	"chassis" TEXT NOT NULL,
	"port" TEXT NOT NULL,
	"port_name" TEXT NOT NULL,
	"description" TEXT NOT NULL,
	"platform" TEXT NOT NULL,
	"addr" BYTEA,
	"capabilities" TEXT NOT NULL
);
CREATE INDEX record_links_time ON record_links (time_us, id);
CREATE INDEX record_links_mac ON record_links ("mac", time_us);
CREATE INDEX record_links_addr ON record_links ("addr", time_us);

CREATE TABLE record_industrial (
	id BIGINT NOT NULL,
	tap TEXT NOT NULL,
	"time_us" BIGINT NOT NULL,
	"client" BYTEA,
	"client_port" INTEGER NOT NULL,
	"server" BYTEA,
	"server_port" INTEGER NOT NULL,
	"proto" SMALLINT NOT NULL,
	"vlan" INTEGER NOT NULL,
	"protocol" TEXT NOT NULL,
	"unit" INTEGER NOT NULL,
	"source" INTEGER NOT NULL,
	"function" SMALLINT NOT NULL,
	"name" TEXT NOT NULL,
	"requests" BIGINT NOT NULL,
	"responses" BIGINT NOT NULL,
	"errors" BIGINT NOT NULL
);
CREATE INDEX record_industrial_time ON record_industrial (time_us, id);
CREATE INDEX record_industrial_client ON record_industrial ("client", time_us);
CREATE INDEX record_industrial_name ON record_industrial ("name", time_us);

CREATE TABLE record_wifi_networks (
	id BIGINT NOT NULL,
	tap TEXT NOT NULL,
	"time_us" BIGINT NOT NULL,
	"bssid" BYTEA,
	"ssid" TEXT NOT NULL,
	"hidden" SMALLINT NOT NULL,
	"channel" SMALLINT NOT NULL,
	"frequency" INTEGER NOT NULL,
	"security" TEXT NOT NULL,
	"pmf" TEXT NOT NULL,
	"wps" TEXT NOT NULL,
	"rates" TEXT NOT NULL,
	"interval" INTEGER NOT NULL,
	"signal" SMALLINT NOT NULL,
	"weakest" SMALLINT NOT NULL,
	"beacons" BIGINT NOT NULL,
	"probes" BIGINT NOT NULL,
	"fingerprint" TEXT NOT NULL,
	"pwnagotchi" TEXT NOT NULL
);
CREATE INDEX record_wifi_networks_time ON record_wifi_networks (time_us, id);
CREATE INDEX record_wifi_networks_bssid ON record_wifi_networks ("bssid", time_us);
CREATE INDEX record_wifi_networks_ssid ON record_wifi_networks ("ssid", time_us);

CREATE TABLE record_wifi_clients (
	id BIGINT NOT NULL,
	tap TEXT NOT NULL,
	"time_us" BIGINT NOT NULL,
	"mac" BYTEA,
	"random" SMALLINT NOT NULL,
	"bssid" BYTEA,
	"wanted" TEXT NOT NULL,
	"signal" SMALLINT NOT NULL,
	"data_sent" BIGINT NOT NULL,
	"data_got" BIGINT NOT NULL,
	"bytes_sent" BIGINT NOT NULL,
	"bytes_got" BIGINT NOT NULL,
	"management" BIGINT NOT NULL,
	"control" BIGINT NOT NULL,
	"fingerprint" TEXT NOT NULL
);
CREATE INDEX record_wifi_clients_time ON record_wifi_clients (time_us, id);
CREATE INDEX record_wifi_clients_mac ON record_wifi_clients ("mac", time_us);

CREATE TABLE record_wifi_events (
	id BIGINT NOT NULL,
	tap TEXT NOT NULL,
	"time_us" BIGINT NOT NULL,
	"kind" TEXT NOT NULL,
	"wifi_events_from" BYTEA,
	"wifi_events_to" BYTEA,
	"bssid" BYTEA,
	"reason" INTEGER NOT NULL,
	"count" BIGINT NOT NULL,
	"signal" SMALLINT NOT NULL
);
CREATE INDEX record_wifi_events_time ON record_wifi_events (time_us, id);
CREATE INDEX record_wifi_events_bssid ON record_wifi_events ("bssid", time_us);

CREATE TABLE record_drones (
	id BIGINT NOT NULL,
	tap TEXT NOT NULL,
	"time_us" BIGINT NOT NULL,
	"mac" BYTEA,
	"transport" TEXT NOT NULL,
	"drones_id" TEXT NOT NULL,
	"id_type" TEXT NOT NULL,
	"type" TEXT NOT NULL,
	"status" TEXT NOT NULL,
	"latitude" INTEGER NOT NULL,
	"longitude" INTEGER NOT NULL,
	"altitude" INTEGER NOT NULL,
	"height" INTEGER NOT NULL,
	"speed" BIGINT NOT NULL,
	"track" INTEGER NOT NULL,
	"operator_latitude" INTEGER NOT NULL,
	"operator_longitude" INTEGER NOT NULL,
	"operator" TEXT NOT NULL,
	"text" TEXT NOT NULL,
	"signal" SMALLINT NOT NULL,
	"messages" BIGINT NOT NULL
);
CREATE INDEX record_drones_time ON record_drones (time_us, id);
CREATE INDEX record_drones_mac ON record_drones ("mac", time_us);
CREATE INDEX record_drones_drones_id ON record_drones ("drones_id", time_us);

CREATE TABLE record_bluetooth (
	id BIGINT NOT NULL,
	tap TEXT NOT NULL,
	"time_us" BIGINT NOT NULL,
	"mac" BYTEA,
	"random" SMALLINT NOT NULL,
	"name" TEXT NOT NULL,
	"class" BIGINT NOT NULL,
	"vendor" TEXT NOT NULL,
	"services" TEXT NOT NULL,
	"signal" SMALLINT NOT NULL,
	"connected" SMALLINT NOT NULL
);
CREATE INDEX record_bluetooth_time ON record_bluetooth (time_us, id);
CREATE INDEX record_bluetooth_mac ON record_bluetooth ("mac", time_us);
CREATE INDEX record_bluetooth_name ON record_bluetooth ("name", time_us);


CREATE TABLE kind_days (
	kind TEXT NOT NULL,
	tap TEXT NOT NULL,
	day_us BIGINT NOT NULL,
	seen BIGINT NOT NULL,
	size_bytes BIGINT NOT NULL,
	PRIMARY KEY (kind, day_us, tap)
);
INSERT INTO kind_days (kind, tap, day_us, seen, size_bytes) SELECT 'flows', tap, start_us / 86400000000 * 86400000000, COUNT(*), COUNT(*) * 200 FROM flows GROUP BY 1, 2, 3;
INSERT INTO kind_days (kind, tap, day_us, seen, size_bytes) SELECT 'dns', tap, time_us / 86400000000 * 86400000000, COUNT(*), COUNT(*) * 160 FROM dns_queries GROUP BY 1, 2, 3;
INSERT INTO kind_days (kind, tap, day_us, seen, size_bytes) SELECT 'tls', tap, time_us / 86400000000 * 86400000000, COUNT(*), COUNT(*) * 140 FROM tls_hellos GROUP BY 1, 2, 3;
INSERT INTO kind_days (kind, tap, day_us, seen, size_bytes) SELECT 'ledgers', tap, end_us / 86400000000 * 86400000000, COUNT(*), COUNT(*) * 160 FROM ledgers GROUP BY 1, 2, 3;
INSERT INTO kind_days (kind, tap, day_us, seen, size_bytes) SELECT 'gaps', tap, to_us / 86400000000 * 86400000000, COUNT(*), COUNT(*) * 100 FROM gaps GROUP BY 1, 2, 3;
