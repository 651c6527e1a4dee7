package access

import "github.com/rind-project/rind/internal/base/database"

// Migrations are the tables of this room.
func Migrations() []database.Migration {
	return []database.Migration{
		{Name: "access/0001_users", SQL: `
CREATE TABLE access_users (
	id TEXT PRIMARY KEY,
	name TEXT NOT NULL UNIQUE,
	role TEXT NOT NULL,
	password TEXT NOT NULL,
	uid BIGINT UNIQUE,
	created_at BIGINT NOT NULL,
	changed_at BIGINT NOT NULL
);
CREATE TABLE access_lock (
	id BIGINT PRIMARY KEY,
	changes BIGINT NOT NULL
);
INSERT INTO access_lock (id, changes) VALUES (1, 0);
CREATE TABLE access_known (
	user_id TEXT NOT NULL REFERENCES access_users (id) ON DELETE CASCADE,
	network BYTEA NOT NULL,
	seen_at BIGINT NOT NULL,
	PRIMARY KEY (user_id, network)
);
`},
		{Name: "access/0002_sessions", SQL: `
CREATE TABLE access_sessions (
	hash BYTEA PRIMARY KEY,
	user_id TEXT NOT NULL REFERENCES access_users (id) ON DELETE CASCADE,
	addr BYTEA,
	created_at BIGINT NOT NULL,
	used_at BIGINT NOT NULL,
	expires_at BIGINT NOT NULL
);
CREATE INDEX access_sessions_user ON access_sessions (user_id, created_at);
CREATE INDEX access_sessions_expiry ON access_sessions (expires_at);
CREATE TABLE access_tokens (
	id TEXT PRIMARY KEY,
	hash BYTEA NOT NULL,
	name TEXT NOT NULL,
	owner TEXT NOT NULL,
	user_id TEXT REFERENCES access_users (id) ON DELETE CASCADE,
	role TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	used_at BIGINT NOT NULL,
	expires_at BIGINT NOT NULL
);
CREATE INDEX access_tokens_user ON access_tokens (user_id);
`},
		{Name: "access/0003_audit", SQL: `
CREATE TABLE access_audit (
	id TEXT PRIMARY KEY,
	at BIGINT NOT NULL,
	by_name TEXT NOT NULL,
	via TEXT NOT NULL,
	action TEXT NOT NULL,
	object TEXT NOT NULL,
	detail TEXT NOT NULL,
	addr BYTEA,
	ok BOOLEAN NOT NULL
);
CREATE INDEX access_audit_at ON access_audit (at);
`},
		{Name: "access/0004_must_change", SQL: `
ALTER TABLE access_users ADD COLUMN must_change BOOLEAN NOT NULL DEFAULT FALSE;
`},
	}
}
