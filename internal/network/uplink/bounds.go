package uplink

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// The quarantine's bounds.
const (
	asideFiles = 100
	asideBytes = 64 << 20
)

// Oldest returns the report that is to be sent next.
func (s *Spool) Oldest() (Entry, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.trim(0)
	if len(s.entries) == 0 {
		return Entry{}, false
	}
	return s.entries[0], true
}

// Read returns the report's bytes.
func (s *Spool) Read(e Entry) ([]byte, error) {
	b, err := os.ReadFile(filepath.Join(s.cfg.Dir, e.name()))
	if err != nil {
		return nil, fmt.Errorf("reading report %d from the spool: %w", e.Sequence, err)
	}
	_, body, err := unframe(b)
	if err != nil {
		return nil, fmt.Errorf("reading report %d from the spool: %w", e.Sequence, err)
	}
	return body, nil
}

// Remove takes a report out, after a node has committed it.
func (s *Spool) Remove(e Entry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.forget(e) {
		return nil
	}
	if err := os.Remove(filepath.Join(s.cfg.Dir, e.name())); err != nil && !os.IsNotExist(err) {
		return fmt.Errorf("removing report %d from the spool: %w", e.Sequence, err)
	}
	return nil
}

// Quarantine puts a report aside that no node will ever take.
func (s *Spool) Quarantine(e Entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.forget(e) {
		s.putAside(e.name())
	}
}

// Bound changes the spool's bounds. What lies outside of them goes now.
func (s *Spool) Bound(maxBytes int64, maxAge time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cfg.MaxBytes, s.cfg.MaxAge = maxBytes, maxAge
	s.trim(0)
}

// Wake yields after a report was appended.
func (s *Spool) Wake() <-chan struct{} { return s.wake }

// Stats describes the spool as it is.
func (s *Spool) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := Stats{Reports: uint64(len(s.entries)), Bytes: uint64(s.bytes), Dropped: s.dropped,
		DroppedEver: s.state.Dropped, Quarantined: s.state.Quarantined}
	if len(s.entries) > 0 {
		st.Oldest = s.entries[0].Written
	}
	return st
}

// forget takes an entry off the list.
func (s *Spool) forget(e Entry) bool {
	for i := range s.entries {
		if s.entries[i].name() == e.name() {
			s.bytes -= s.entries[i].Size
			s.entries = append(s.entries[:i], s.entries[i+1:]...)
			return true
		}
	}
	return false
}

// trim pushes out the oldest reports until room bytes more fit and none is too
// old. The count is durable with the next state.
func (s *Spool) trim(room int64) {
	limit := s.cfg.Now().Add(-s.cfg.MaxAge)
	dropped := uint64(0)
	for len(s.entries) > 0 && (s.bytes+room > s.cfg.MaxBytes || s.entries[0].Written.Before(limit)) {
		e := s.entries[0]
		s.entries = s.entries[1:]
		s.bytes -= e.Size
		s.state.Dropped++
		s.state.DroppedBytes += uint64(e.Size)
		dropped++
		if err := os.Remove(filepath.Join(s.cfg.Dir, e.name())); err != nil {
			s.cfg.Log.Warn("a report that the spool's bounds push out could not be removed", "error", err)
		}
	}
	if dropped == 0 {
		return
	}
	s.dropped += dropped
	s.cfg.Log.Warn("the spool is full, or a node was away for too long: the oldest reports were dropped",
		"reports", dropped, "max_bytes", s.cfg.MaxBytes, "max_age", s.cfg.MaxAge)
	if s.begun {
		if err := s.state.write(s.cfg.Dir); err != nil {
			s.cfg.Log.Warn("the spool's state could not be written", "error", err)
		}
	}
}

// putAside moves a file to the quarantine and keeps that within its bounds.
func (s *Spool) putAside(name string) {
	s.state.Quarantined++
	if err := os.Rename(filepath.Join(s.cfg.Dir, name), filepath.Join(s.aside(), name)); err != nil {
		s.cfg.Log.Error("a report could not be put aside", "file", name, "error", err)
		return
	}
	files, err := os.ReadDir(s.aside())
	if err != nil {
		return
	}
	var bytes int64
	var sizes []int64
	for _, f := range files {
		var size int64
		if info, err := f.Info(); err == nil && strings.HasSuffix(f.Name(), fileSuffix) {
			size = info.Size()
		}
		sizes = append(sizes, size)
		bytes += size
	}
	for i := 0; i < len(files)-1 && (len(files)-i > asideFiles || bytes > asideBytes); i++ {
		if err := os.Remove(filepath.Join(s.aside(), files[i].Name())); err != nil {
			s.cfg.Log.Warn("the quarantine could not be trimmed", "error", err)
			return
		}
		bytes -= sizes[i]
	}
}

// age is how long the oldest report has waited.
func (s *Spool) age() time.Duration {
	if st := s.Stats(); !st.Oldest.IsZero() {
		return s.cfg.Now().Sub(st.Oldest)
	}
	return 0
}
