package store

import "strings"

// convertedTables are the tables that 0010 makes partitioned: those that were
// there when it was written. A table that comes later is made so by its own
// migration, with convert.
var convertedTables = []string{"flows", "dns_queries", "tls_hellos", "ledgers", "gaps", "traffic_minutes",
	"record_neighbors", "record_dhcp", "record_http", "record_ssh", "record_smb", "record_rdp", "record_mail",
	"record_ftp", "record_telnet", "record_sip", "record_rtsp", "record_socks", "record_ntp", "record_snmp",
	"record_links", "record_industrial", "record_wifi_networks", "record_wifi_clients", "record_wifi_events",
	"record_drones", "record_bluetooth"}

// partitionTables lists the partitions beside the rest: [from_us, to_us) of the
// table's time.
const partitionTable = `
CREATE TABLE partitions (
	name TEXT PRIMARY KEY,
	parent TEXT NOT NULL,
	from_us BIGINT NOT NULL,
	to_us BIGINT NOT NULL,
	indexed SMALLINT NOT NULL DEFAULT 0,
	size_bytes BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX partitions_parent ON partitions (parent, from_us);
`

// convert makes plain tables partitioned. What they hold stays where it is and
// becomes a partition: on SQLite the rest, on PostgreSQL one that ends with the
// first midnight after its newest row, so that nothing is copied.
func convert(tables []string) (sqlite, postgres string) {
	var b strings.Builder
	for _, t := range tables {
		b.WriteString("ALTER TABLE " + t + " RENAME TO " + t + "_rest;\nCREATE VIEW " + t + " AS SELECT * FROM " + t + "_rest;\n")
	}
	list := "'" + strings.Join(tables, "', '") + "'"
	return b.String(), strings.ReplaceAll(strings.Replace(convertPostgres, "TABLES", list, 1), ";\n", "; ") + ";\n"
}

// convertPostgres is one statement: see Migration.SQL for its line ends.
const convertPostgres = `DO $body$
DECLARE t record; cutoff BIGINT;
BEGIN
	FOR t IN SELECT c.relname::text AS name,
		CASE c.relname::text WHEN 'flows' THEN 'start_us' WHEN 'ledgers' THEN 'end_us' WHEN 'gaps' THEN 'to_us' WHEN 'traffic_minutes' THEN 'minute_us' ELSE 'time_us' END AS at
		FROM pg_class c WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r' AND c.relname::text IN (TABLES)
	LOOP
		EXECUTE format('ALTER TABLE %I RENAME TO %I', t.name, t.name || '_before');
		EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING DEFAULTS) PARTITION BY RANGE (%I)', t.name, t.name || '_before', t.at);
		EXECUTE format('CREATE TABLE %I PARTITION OF %I DEFAULT', t.name || '_rest', t.name);
		EXECUTE format('SELECT MAX(%I) FROM %I', t.at, t.name || '_before') INTO cutoff;
		IF cutoff IS NULL THEN
			EXECUTE format('DROP TABLE %I', t.name || '_before');
		ELSE
			cutoff := (GREATEST(cutoff, CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)) / 86400000000 + 1) * 86400000000;
			EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (MINVALUE) TO (%s)', t.name, t.name || '_before', cutoff);
			INSERT INTO partitions (name, parent, from_us, to_us, indexed) VALUES (t.name || '_before', t.name, -9223372036854775808, cutoff, 1);
		END IF;
	END LOOP;
END $body$`

// sums are the tables that are made from rows when an hour or a minute has
// ended. dirty_minutes are minutes that got rows after that; rolled says what
// has been made.
const sums = `
CREATE TABLE traffic_totals (
	minute_us BIGINT NOT NULL,
	tap TEXT NOT NULL,
	bytes BIGINT NOT NULL,
	packets BIGINT NOT NULL,
	flows BIGINT NOT NULL
)%[1]s;
CREATE TABLE traffic_hours (
	hour_us BIGINT NOT NULL,
	tap TEXT NOT NULL,
	bytes BIGINT NOT NULL,
	packets BIGINT NOT NULL,
	flows BIGINT NOT NULL,
	PRIMARY KEY (hour_us, tap)
);
CREATE TABLE host_hours (
	hour_us BIGINT NOT NULL,
	addr BYTEA NOT NULL,
	bytes_in BIGINT NOT NULL,
	bytes_out BIGINT NOT NULL,
	packets BIGINT NOT NULL,
	flows BIGINT NOT NULL
)%[2]s;
CREATE TABLE top_hours (
	hour_us BIGINT NOT NULL,
	place SMALLINT NOT NULL,
	addr BYTEA NOT NULL,
	bytes_in BIGINT NOT NULL,
	bytes_out BIGINT NOT NULL,
	packets BIGINT NOT NULL,
	flows BIGINT NOT NULL,
	PRIMARY KEY (hour_us, place)
);
CREATE TABLE top_minutes (
	minute_us BIGINT NOT NULL,
	place SMALLINT NOT NULL,
	addr BYTEA NOT NULL,
	bytes_in BIGINT NOT NULL,
	bytes_out BIGINT NOT NULL,
	packets BIGINT NOT NULL,
	flows BIGINT NOT NULL,
	PRIMARY KEY (minute_us, place)
);
CREATE TABLE ledger_hours (
	hour_us BIGINT NOT NULL,
	tap TEXT NOT NULL,
	received BIGINT NOT NULL,
	summarised BIGINT NOT NULL,
	dropped_kernel BIGINT NOT NULL,
	dropped_pipeline BIGINT NOT NULL,
	malformed BIGINT NOT NULL,
	bytes BIGINT NOT NULL,
	reports BIGINT NOT NULL,
	PRIMARY KEY (hour_us, tap)
);
CREATE TABLE rolled (
	width_us BIGINT NOT NULL,
	begin_us BIGINT NOT NULL,
	PRIMARY KEY (width_us, begin_us)
);
CREATE TABLE dirty_minutes (
	minute_us BIGINT NOT NULL
);
CREATE INDEX dirty_minutes_minute ON dirty_minutes (minute_us);
CREATE TABLE dropped (
	parent TEXT PRIMARY KEY,
	until_us BIGINT NOT NULL
);
`

// partitioned is the migration that makes the tables partitioned.
func partitioned() (sqlite, postgres string) {
	sqlite, postgres = convert(convertedTables)
	plain := strings.NewReplacer("%[1]s", "", "%[2]s", "").Replace(sums)
	views, _ := convert([]string{minuteTotals.table, hostHours.table})
	sqlite = partitionTable + sqlite + plain + views +
		"CREATE INDEX traffic_totals_minute ON traffic_totals_rest (minute_us);\n" +
		"CREATE INDEX host_hours_hour ON host_hours_rest (hour_us);\n"
	ranged := strings.NewReplacer("%[1]s", " PARTITION BY RANGE (minute_us)", "%[2]s", " PARTITION BY RANGE (hour_us)").Replace(sums)
	postgres = partitionTable + postgres + ranged +
		"CREATE TABLE traffic_totals_rest PARTITION OF traffic_totals DEFAULT;\nCREATE TABLE host_hours_rest PARTITION OF host_hours DEFAULT;\n"
	return sqlite, postgres
}
