package managed

import "github.com/rind-project/rind/internal/base/database"

// Migrations returns the schema of this room.
//
// A host has one row: addresses is 16 bytes for each of its addresses, macs 6
// for each hardware address. Every transaction that writes takes a revision of
// its own, above all before, and gives it to the rows that it writes, so that
// who has read up to a revision reads on from there. A host that has gone stays
// as a row without addresses for a day; forgotten is the highest revision of
// those that were deleted after it: who has not read so far begins anew.
func Migrations() []database.Migration {
	return []database.Migration{{Name: "inventory/0001_managed", SQL: `
CREATE TABLE managed_hosts (
	id TEXT PRIMARY KEY,
	addresses BYTEA NOT NULL,
	macs BYTEA NOT NULL,
	revision BIGINT NOT NULL,
	gone_us BIGINT NOT NULL
);
CREATE INDEX managed_hosts_revision ON managed_hosts (revision, id);
CREATE INDEX managed_hosts_gone ON managed_hosts (gone_us);
CREATE TABLE managed_state (
	name TEXT PRIMARY KEY,
	revision BIGINT NOT NULL,
	forgotten BIGINT NOT NULL
);
`}}
}
