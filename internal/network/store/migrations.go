package store

import "github.com/rind-project/rind/internal/base/database"

// Migrations returns the schema of the telemetry tables.
func Migrations() []database.Migration {
	sqlite, postgres := partitioned()
	return []database.Migration{
		{Name: "store/0001_telemetry", SQL: telemetry},
		{Name: "store/0002_rollups", SQL: rollups},
		{Name: "store/0003_flow_columns", SQL: flowTransport},
		{Name: "store/0004_tls_columns", SQL: tlsHandshake},
		{Name: "store/0005_records", SQL: recordTables()},
		{Name: "store/0006_dns_columns", SQL: dnsMore},
		{Name: "store/0009_enrich", SQL: flowEnrichment},
		{Name: "store/0010_partitions", SQL: sqlite, PostgreSQL: postgres},
		{Name: "store/0011_tenants", SQL: trimmed},
	}
}

// trimmed notes from which partitions the rows of a tenant are gone, and which
// taps it had then.
const trimmed = `
CREATE TABLE trimmed (
	partition TEXT NOT NULL,
	tenant TEXT NOT NULL,
	taps TEXT NOT NULL,
	PRIMARY KEY (partition, tenant)
);
`

// An id is unique with the time beside it and is never looked up alone, so it
// has no index of its own.
const telemetry = `
CREATE TABLE flows (
	id BIGINT NOT NULL,
	tap TEXT NOT NULL,
	start_us BIGINT NOT NULL,
	end_us BIGINT NOT NULL,
	src BYTEA,
	dst BYTEA,
	src_port INTEGER NOT NULL,
	dst_port INTEGER NOT NULL,
	proto SMALLINT NOT NULL,
	vlan INTEGER NOT NULL,
	inner_vlan INTEGER NOT NULL,
	src_mac BYTEA,
	dst_mac BYTEA,
	src_packets BIGINT NOT NULL,
	dst_packets BIGINT NOT NULL,
	src_bytes BIGINT NOT NULL,
	dst_bytes BIGINT NOT NULL,
	src_flags SMALLINT NOT NULL,
	dst_flags SMALLINT NOT NULL,
	state SMALLINT NOT NULL,
	app TEXT NOT NULL,
	ended SMALLINT NOT NULL,
	seed INTEGER NOT NULL
);
CREATE INDEX flows_start ON flows (start_us, id);
CREATE INDEX flows_src ON flows (src, start_us);
CREATE INDEX flows_dst ON flows (dst, start_us);

CREATE TABLE dns_queries (
	id BIGINT NOT NULL,
	tap TEXT NOT NULL,
	time_us BIGINT NOT NULL,
	client BYTEA,
	server BYTEA,
	client_port INTEGER NOT NULL,
	proto SMALLINT NOT NULL,
	name TEXT NOT NULL,
	qtype INTEGER NOT NULL,
	answered SMALLINT NOT NULL,
	rcode SMALLINT NOT NULL,
	latency_us BIGINT NOT NULL,
	answers TEXT NOT NULL
);
CREATE INDEX dns_queries_time ON dns_queries (time_us, id);
CREATE INDEX dns_queries_client ON dns_queries (client, time_us);
CREATE INDEX dns_queries_name ON dns_queries (name, time_us);

CREATE TABLE tls_hellos (
	id BIGINT NOT NULL,
	tap TEXT NOT NULL,
	time_us BIGINT NOT NULL,
	client BYTEA,
	server BYTEA,
	client_port INTEGER NOT NULL,
	server_port INTEGER NOT NULL,
	sni TEXT NOT NULL,
	alpn TEXT NOT NULL,
	version INTEGER NOT NULL
);
CREATE INDEX tls_hellos_time ON tls_hellos (time_us, id);
CREATE INDEX tls_hellos_client ON tls_hellos (client, time_us);
CREATE INDEX tls_hellos_sni ON tls_hellos (sni, time_us);

CREATE TABLE ledgers (
	id BIGINT NOT NULL,
	tap TEXT NOT NULL,
	boot TEXT NOT NULL,
	sequence BIGINT NOT NULL,
	start_us BIGINT NOT NULL,
	end_us BIGINT NOT NULL,
	interface TEXT NOT NULL,
	received BIGINT NOT NULL,
	summarised BIGINT NOT NULL,
	dropped_kernel BIGINT NOT NULL,
	dropped_pipeline BIGINT NOT NULL,
	malformed BIGINT NOT NULL,
	held_fragments BIGINT NOT NULL,
	released_fragments BIGINT NOT NULL,
	bytes BIGINT NOT NULL
);
CREATE INDEX ledgers_end ON ledgers (end_us, id);
CREATE INDEX ledgers_tap ON ledgers (tap, end_us);

CREATE TABLE gaps (
	id BIGINT NOT NULL,
	tap TEXT NOT NULL,
	boot TEXT NOT NULL,
	sequence BIGINT NOT NULL,
	from_us BIGINT NOT NULL,
	to_us BIGINT NOT NULL
);
CREATE INDEX gaps_to ON gaps (to_us, id);
CREATE INDEX gaps_tap ON gaps (tap, to_us);
`

// dnsMore are the columns of DNS queries that came later. Rows from before
// were all seen on port 53.
const dnsMore = `
ALTER TABLE dns_queries ADD COLUMN via TEXT NOT NULL DEFAULT 'dns';
ALTER TABLE dns_queries ADD COLUMN domain TEXT NOT NULL DEFAULT '';
ALTER TABLE dns_queries ADD COLUMN entropy INTEGER NOT NULL DEFAULT 0;
ALTER TABLE dns_queries ADD COLUMN authoritative SMALLINT NOT NULL DEFAULT 0;
ALTER TABLE dns_queries ADD COLUMN truncated SMALLINT NOT NULL DEFAULT 0;
ALTER TABLE dns_queries ADD COLUMN recursion SMALLINT NOT NULL DEFAULT 0;
ALTER TABLE dns_queries ADD COLUMN authenticated SMALLINT NOT NULL DEFAULT 0;
ALTER TABLE dns_queries ADD COLUMN subnet TEXT NOT NULL DEFAULT '';
CREATE INDEX dns_queries_domain ON dns_queries (domain, time_us);
`

// flowTransport is what flows tell of tunnels and of TCP. Rows from before have
// zeros: not seen. Round trips are µs.
const flowTransport = `
ALTER TABLE flows ADD COLUMN tunnel SMALLINT NOT NULL DEFAULT 0;
ALTER TABLE flows ADD COLUMN tunnel_id BIGINT NOT NULL DEFAULT 0;
ALTER TABLE flows ADD COLUMN src_ttl SMALLINT NOT NULL DEFAULT 0;
ALTER TABLE flows ADD COLUMN dst_ttl SMALLINT NOT NULL DEFAULT 0;
ALTER TABLE flows ADD COLUMN client_rtt_us BIGINT NOT NULL DEFAULT 0;
ALTER TABLE flows ADD COLUMN server_rtt_us BIGINT NOT NULL DEFAULT 0;
ALTER TABLE flows ADD COLUMN src_retrans BIGINT NOT NULL DEFAULT 0;
ALTER TABLE flows ADD COLUMN dst_retrans BIGINT NOT NULL DEFAULT 0;
ALTER TABLE flows ADD COLUMN src_zero_windows BIGINT NOT NULL DEFAULT 0;
ALTER TABLE flows ADD COLUMN dst_zero_windows BIGINT NOT NULL DEFAULT 0;
ALTER TABLE flows ADD COLUMN fingerprint TEXT NOT NULL DEFAULT '';
`

// traffic_minutes holds differences: a row per report, minute and application,
// which are only ever added and summed.
const rollups = `
CREATE TABLE traffic_minutes (
	minute_us BIGINT NOT NULL,
	tap TEXT NOT NULL,
	app TEXT NOT NULL,
	bytes BIGINT NOT NULL,
	packets BIGINT NOT NULL,
	flows BIGINT NOT NULL
);
CREATE INDEX traffic_minutes_minute ON traffic_minutes (minute_us);

CREATE TABLE dns_names (
	name TEXT PRIMARY KEY,
	first_us BIGINT NOT NULL,
	last_us BIGINT NOT NULL,
	seen BIGINT NOT NULL
);
CREATE INDEX dns_names_last ON dns_names (last_us);

CREATE TABLE tls_names (
	name TEXT PRIMARY KEY,
	first_us BIGINT NOT NULL,
	last_us BIGINT NOT NULL,
	seen BIGINT NOT NULL
);
CREATE INDEX tls_names_last ON tls_names (last_us);
`

// tlsHandshake adds what a handshake shows beside its ClientHello. Rows from
// before are all of TCP.
const tlsHandshake = `
ALTER TABLE tls_hellos ADD COLUMN proto SMALLINT NOT NULL DEFAULT 6;
ALTER TABLE tls_hellos ADD COLUMN offered TEXT NOT NULL DEFAULT '';
ALTER TABLE tls_hellos ADD COLUMN chosen INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tls_hellos ADD COLUMN cipher INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tls_hellos ADD COLUMN protocol TEXT NOT NULL DEFAULT '';
ALTER TABLE tls_hellos ADD COLUMN resumed SMALLINT NOT NULL DEFAULT 0;
ALTER TABLE tls_hellos ADD COLUMN alert TEXT NOT NULL DEFAULT '';
ALTER TABLE tls_hellos ADD COLUMN ja3 TEXT NOT NULL DEFAULT '';
ALTER TABLE tls_hellos ADD COLUMN ja3s TEXT NOT NULL DEFAULT '';
ALTER TABLE tls_hellos ADD COLUMN ja4 TEXT NOT NULL DEFAULT '';
ALTER TABLE tls_hellos ADD COLUMN subject TEXT NOT NULL DEFAULT '';
ALTER TABLE tls_hellos ADD COLUMN issuer TEXT NOT NULL DEFAULT '';
ALTER TABLE tls_hellos ADD COLUMN cert_names TEXT NOT NULL DEFAULT '';
ALTER TABLE tls_hellos ADD COLUMN not_before_us BIGINT NOT NULL DEFAULT 0;
ALTER TABLE tls_hellos ADD COLUMN not_after_us BIGINT NOT NULL DEFAULT 0;
ALTER TABLE tls_hellos ADD COLUMN serial TEXT NOT NULL DEFAULT '';
ALTER TABLE tls_hellos ADD COLUMN cert_sha256 TEXT NOT NULL DEFAULT '';
`

// flowEnrichment adds what a node knows of the ends of a flow. NULL is what it
// did not know, and what every row from before has.
const flowEnrichment = `
ALTER TABLE flows ADD COLUMN src_country TEXT;
ALTER TABLE flows ADD COLUMN dst_country TEXT;
ALTER TABLE flows ADD COLUMN src_as BIGINT;
ALTER TABLE flows ADD COLUMN dst_as BIGINT;
ALTER TABLE flows ADD COLUMN src_name TEXT;
ALTER TABLE flows ADD COLUMN dst_name TEXT;
`
