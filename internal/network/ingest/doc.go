// Package ingest is where taps deliver: it authenticates a tap, takes its
// report, and answers after the commit. A report is committed exactly once,
// whatever number of nodes it is offered to, because its identity is written
// in the transaction that writes its rows.
package ingest
