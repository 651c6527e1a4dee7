// Package managed tells nodes which managed host has an address. Where master
// and node are one process, the node asks the master's memory. Nodes of their
// own read a table that masters keep in the database which they share: one of
// the masters, the holder of a lease, writes what has changed there, and nodes
// read what is newer than what they have.
package managed
