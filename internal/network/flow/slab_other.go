//go:build !linux

package flow

// reserve reserves a table's memory.
func reserve[T Record | uint64](_ *Table, n int) []T { return make([]T, n) }
