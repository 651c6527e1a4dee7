package flow

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// makeSlab reserves records outside of the Go heap: what no flow has used yet
// takes no memory, the collector does not count them as a reason to wait, and
// large pages make the many misses of a large table cheaper. A Record has no
// pointers. The memory goes with the table.
func makeSlab(t *Table, n int) []Record {
	size := n * int(unsafe.Sizeof(Record{}))
	b, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return make([]Record, n)
	}
	//_ = unix.Madvise(b, unix.MADV_HUGEPAGE) // slower without
	runtime.AddCleanup(t, func(b []byte) { _ = unix.Munmap(b) }, b)
	return unsafe.Slice((*Record)(unsafe.Pointer(unsafe.SliceData(b))), n)
}
