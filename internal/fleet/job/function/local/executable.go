package local

import "os"

func unixExecutable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

// Executable reports whether a path is a file that may be run.
func (s *System) Executable(path string) bool { return unixExecutable(s.Path(path)) }
