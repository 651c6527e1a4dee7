//go:build !linux

package flow

// makeSlab reserves records.
func makeSlab(_ *Table, n int) []Record { return make([]Record, n) }
