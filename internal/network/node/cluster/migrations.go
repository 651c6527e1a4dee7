package cluster

import "github.com/rind-project/rind/internal/base/database"

// Migrations returns the schema of the tables of a cluster. The room is called
// node, after whom the rows are.
//
// The row of a lease is renewed often; that of its fence changes with the
// holder only. A transaction that writes under a lease locks the fence, and so
// never waits for a renewal, nor a renewal for it, while the next holder waits
// for both.
func Migrations() []database.Migration {
	return []database.Migration{
		{Name: "node/0001_nodes", SQL: `
CREATE TABLE nodes (
	id TEXT PRIMARY KEY,
	host TEXT NOT NULL,
	version TEXT NOT NULL,
	started_us BIGINT NOT NULL,
	seen_us BIGINT NOT NULL
);
CREATE TABLE leases (
	name TEXT PRIMARY KEY,
	holder TEXT NOT NULL,
	epoch BIGINT NOT NULL,
	until_us BIGINT NOT NULL
);
`},
		{Name: "node/0002_cluster", SQL: `
ALTER TABLE nodes ADD COLUMN roles TEXT NOT NULL DEFAULT '';
ALTER TABLE nodes ADD COLUMN address TEXT NOT NULL DEFAULT '';
ALTER TABLE nodes ADD COLUMN draining BIGINT NOT NULL DEFAULT 0;
ALTER TABLE nodes ADD COLUMN load TEXT NOT NULL DEFAULT '{}';
CREATE TABLE fences (
	name TEXT PRIMARY KEY,
	epoch BIGINT NOT NULL
);
CREATE TABLE periods (
	name TEXT NOT NULL,
	period_us BIGINT NOT NULL,
	node TEXT NOT NULL,
	done_us BIGINT NOT NULL,
	PRIMARY KEY (name, period_us)
);
CREATE TABLE tasks (
	id TEXT PRIMARY KEY,
	kind TEXT NOT NULL,
	subject TEXT NOT NULL,
	state TEXT NOT NULL,
	attempts BIGINT NOT NULL,
	next_us BIGINT NOT NULL,
	holder TEXT NOT NULL,
	error TEXT NOT NULL,
	created_us BIGINT NOT NULL,
	UNIQUE (kind, subject)
);
CREATE INDEX tasks_next ON tasks (state, next_us);
CREATE TABLE changes (
	topic TEXT PRIMARY KEY,
	revision BIGINT NOT NULL
);
`},
	}
}
