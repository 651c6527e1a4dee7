package ingest

import "github.com/rind-project/rind/internal/base/database"

// Migrations returns the schema of the tables of taps and of the identities of
// committed reports.
func Migrations() []database.Migration {
	return []database.Migration{{Name: "ingest/0001_taps", SQL: `
CREATE TABLE taps (
	name TEXT PRIMARY KEY,
	hash BYTEA NOT NULL,
	created_us BIGINT NOT NULL,
	expires_us BIGINT NOT NULL,
	revoked_us BIGINT NOT NULL,
	reports BIGINT NOT NULL,
	last_report_us BIGINT NOT NULL,
	last_end_us BIGINT NOT NULL,
	health TEXT NOT NULL
);
CREATE TABLE reports (
	tap TEXT NOT NULL,
	boot TEXT NOT NULL,
	sequence BIGINT NOT NULL,
	end_us BIGINT NOT NULL,
	received_us BIGINT NOT NULL,
	PRIMARY KEY (tap, boot, sequence)
);
CREATE INDEX reports_received ON reports (received_us);
`}, {Name: "ingest/0002_senders", SQL: `
ALTER TABLE taps ADD COLUMN last_boot TEXT NOT NULL DEFAULT '';
ALTER TABLE taps ADD COLUMN switches BIGINT NOT NULL DEFAULT 0;
ALTER TABLE taps ADD COLUMN switched_us BIGINT NOT NULL DEFAULT 0;
`}, {Name: "ingest/0003_tenants", SQL: `
ALTER TABLE taps ADD COLUMN tenant TEXT NOT NULL DEFAULT 'default';
`}}
}
