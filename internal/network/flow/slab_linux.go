package flow

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// reserve reserves a table's memory outside of the Go heap: what no flow has
// used yet takes no memory, the collector does not count it as a reason to
// wait, and large pages make the many misses of a large table cheaper. T has no
// pointers. The memory goes with the table.
func reserve[T Record | uint64](t *Table, n int) []T {
	var one T
	b, err := unix.Mmap(-1, 0, n*int(unsafe.Sizeof(one)), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return make([]T, n)
	}
	_ = unix.Madvise(b, unix.MADV_HUGEPAGE) // slower without
	runtime.AddCleanup(t, func(b []byte) { _ = unix.Munmap(b) }, b)
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(b))), n)
}
