// Package store keeps what the taps report: flows, DNS queries, TLS hellos,
// ledgers and gaps, with a rollup of the traffic per minute and tables of the
// names seen. Times are microseconds; addresses are 16 bytes, IPv4 mapped.
// The same SQL serves SQLite and PostgreSQL.
//
// Every query is bounded: an answer has at most MaxRows rows, and a query
// without a range means the last hour. Lists run from new to old and are
// paged by (time, id).
package store
