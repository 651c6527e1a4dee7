package tap

import "golang.org/x/sys/unix"

// pin binds the calling thread to a CPU. release lets it run where it ran
// before.
func pin(cpu int) (release func(), err error) {
	var before, one unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return func() {}, err
	}
	one.Set(cpu)
	if err := unix.SchedSetaffinity(0, &one); err != nil {
		return func() {}, err
	}
	return func() { _ = unix.SchedSetaffinity(0, &before) }, nil // it was allowed before
}
