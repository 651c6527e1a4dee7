package natsd

import (
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rind-project/rind/internal/base/errs"
)

// What of the disk is left alone: a hundredth, within these bounds. A stream
// whose write fails for want of room fails for good, until the next start, so
// that it must not come to that.
const (
	leastFree = 16 << 20
	mostFree  = 256 << 20
	roomEvery = 200 * time.Millisecond // between looks at the disk
)

// Room returns an error when nothing more may be written to the streams of
// this server: the disk is about to be full, or a write has failed. It may be
// asked at each message.
func (s *Server) Room() error {
	s.disk.Lock()
	defer s.disk.Unlock()
	if now := time.Now(); now.Sub(s.looked) >= roomEvery {
		s.looked, s.full = now, s.look()
	}
	return s.full
}

func (s *Server) look() error {
	dir := filepath.Join(s.deps.DataDir, "bus")
	if line := s.logger.lost(); line != "" {
		return errs.New(errs.Unavailable, "the bus could not write to its disk (%s); make room on the disk of %s, then restart this server", line, dir)
	}
	if !s.cfg.JetStream.Enabled {
		return nil
	}
	if srv := s.running(); srv != nil && !srv.JetStreamEnabled() {
		return errs.New(errs.Unavailable, "the bus has turned its streams off%s; make room on the disk of %s, then restart this server", s.because(), dir)
	}
	var fsys unix.Statfs_t
	if err := unix.Statfs(dir, &fsys); err != nil {
		return errs.New(errs.Unavailable, "asking for the free space in %s: %w", dir, err)
	}
	free := int64(fsys.Bavail) * fsys.Bsize
	keep := min(max(int64(fsys.Blocks)*fsys.Bsize/100, leastFree), mostFree)
	if free < keep {
		return errs.New(errs.Unavailable, "the disk is full: %d MiB are left in %s, and %d MiB are kept free so that the bus is not damaged; make room there", free>>20, dir, keep>>20)
	}
	return nil
}
