// Package uplink delivers reports: a spool on disk that survives a crash at
// any point, and a sender that empties it, in order, over HTTPS.
//
// A report is spooled before it is sent and leaves the spool when a node has
// committed it. The spool's bounds push out the oldest report, which is
// counted and told in the tap's health.
package uplink

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rind-project/rind/internal/base/disk"
	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/network"
)

// SpoolConfig bounds a spool.
type SpoolConfig struct {
	Dir      string
	Name     string        // of the folder in messages, when people know it by another path than Dir
	MaxBytes int64         // 1 GiB
	MaxAge   time.Duration // 7 days
	Log      *slog.Logger
	Now      func() time.Time
}

// Stats describes a spool.
type Stats struct {
	Reports     uint64
	Bytes       uint64
	Oldest      time.Time // when the oldest was written; zero when empty
	Dropped     uint64    // pushed out by the bounds since it was opened
	DroppedEver uint64
	Quarantined uint64 // put aside, ever
}

// Spool is a folder with one file per report. It is safe for concurrent use;
// one process has it at a time.
type Spool struct {
	cfg  SpoolConfig
	lock *disk.Lock
	wake chan struct{} // a report was appended

	mu      sync.Mutex
	state   state
	entries []Entry // in order
	bytes   int64
	dropped uint64
	begun   bool
}

// OpenSpool opens or makes the folder, removes what a crash left half-written,
// and puts damaged files aside.
func OpenSpool(cfg SpoolConfig) (*Spool, error) {
	cfg.Name = cmp.Or(cfg.Name, cfg.Dir)
	cfg.MaxBytes = cmp.Or(cfg.MaxBytes, 1<<30)
	cfg.MaxAge = cmp.Or(cfg.MaxAge, 7*24*time.Hour)
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	s := &Spool{cfg: cfg, wake: make(chan struct{}, 1)}
	if err := os.MkdirAll(s.aside(), 0o700); err != nil {
		return nil, fmt.Errorf("making the spool %s: %w: let the tap's user write there, or change spool.dir", cfg.Name, err)
	}
	if err := s.seize(); err != nil {
		return nil, err
	}
	if err := s.load(); err != nil {
		_ = s.lock.Release()
		return nil, fmt.Errorf("opening the spool %s: %w", cfg.Name, err)
	}
	return s, nil
}

func (s *Spool) aside() string { return filepath.Join(s.cfg.Dir, "quarantine") }

// How long to wait for a tap that was killed: until its process is gone, with
// its rings, takes a moment.
const (
	seizeWait = 3 * time.Second
	seizeLook = 20 * time.Millisecond
)

// seize takes the folder's lock, which ends with the process.
func (s *Spool) seize() error {
	path := filepath.Join(s.cfg.Dir, "lock")
	lock, err := disk.TakeLock(path)
	for end := time.Now().Add(seizeWait); errors.Is(err, disk.ErrLocked) && time.Now().Before(end); {
		time.Sleep(seizeLook)
		lock, err = disk.TakeLock(path)
	}
	if errors.Is(err, disk.ErrLocked) {
		return errs.New(errs.Conflict, "the spool %s is in use by another tap: stop it, or change spool.dir", s.cfg.Name)
	}
	if err != nil {
		return fmt.Errorf("locking the spool %s: %w: let the tap's user write there, or change spool.dir", s.cfg.Name, err)
	}
	s.lock = lock
	return nil
}

func (s *Spool) load() error {
	st, damaged, err := readState(s.cfg.Dir)
	if err != nil {
		return err
	}
	files, err := os.ReadDir(s.cfg.Dir)
	if err != nil {
		return err
	}
	s.state = st
	for _, f := range files {
		switch name := f.Name(); {
		case f.IsDir():
		case strings.HasSuffix(name, disk.TempSuffix):
			s.cfg.Log.Warn("a half-written file from before a crash is removed", "file", name)
			if err := os.Remove(filepath.Join(s.cfg.Dir, name)); err != nil {
				return err
			}
		case strings.HasSuffix(name, fileSuffix):
			s.loadFile(name)
		}
	}
	slices.SortFunc(s.entries, func(a, b Entry) int {
		if a.before(b) {
			return -1
		}
		return 1
	})
	if damaged != nil {
		s.cfg.Log.Warn("the spool's state is damaged and begun anew: a gap before this start cannot be told in full", "error", damaged)
		s.recover()
	}
	return nil
}

// loadFile takes a file into the spool when it is whole. A report that was
// written but not noted in the state, because the tap was killed between the
// two, is noted now.
func (s *Spool) loadFile(name string) {
	e, ok := parseName(name)
	b, err := os.ReadFile(filepath.Join(s.cfg.Dir, name))
	var end time.Time
	if err == nil {
		end, _, err = unframe(b)
	}
	if err == nil && !ok {
		err = fmt.Errorf("its name is none of a report")
	}
	if err != nil {
		s.cfg.Log.Error("a damaged report is put aside", "file", name, "error", err)
		s.putAside(name)
		return
	}
	e.Size, e.Written = int64(len(b)), s.cfg.Now()
	if info, err := os.Stat(filepath.Join(s.cfg.Dir, name)); err == nil {
		e.Written = info.ModTime()
	}
	s.entries = append(s.entries, e)
	s.bytes += e.Size
	if e.Run == s.state.Run && e.Boot == s.state.Boot && e.Sequence > s.state.Sequence {
		s.state.Sequence, s.state.End, s.state.Gap = e.Sequence, end, nil
	}
}

// recover makes up for a state that was lost: the newest report that is still
// there stands for what its boot had reported.
func (s *Spool) recover() {
	if len(s.entries) == 0 {
		return
	}
	last := s.entries[len(s.entries)-1]
	s.state = state{Run: last.Run, Boot: last.Boot, Sequence: last.Sequence, Start: last.Written, End: last.Written}
}

// Begin notes that a boot begins. It returns the gap that its first report
// must carry, or nil.
func (s *Spool) Begin(boot string, start time.Time) (*network.Gap, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := s.state.next(boot, start.UTC())
	if n := len(s.entries); n > 0 && next.Run <= s.entries[n-1].Run {
		next.Run = s.entries[n-1].Run + 1
	}
	if err := next.write(s.cfg.Dir); err != nil {
		return nil, fmt.Errorf("noting the start in the spool: %w", err)
	}
	s.state, s.begun = next, true
	return next.Gap, nil
}

// End notes that everything up to here was reported, and closes the spool.
// Without it the next boot reports a gap.
func (s *Spool) End() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lock == nil {
		return nil
	}
	var err error
	if s.begun {
		s.state.Clean = true
		err = s.state.write(s.cfg.Dir)
	}
	_ = s.lock.Release()
	s.lock = nil
	return err
}

// Abandon closes the spool as a crash would.
func (s *Spool) Abandon() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lock != nil {
		_ = s.lock.Release()
		s.lock = nil
	}
}

// Append spools a report. When it returns nil, the report survives a crash.
// end is the report's end, from which a gap would begin.
func (s *Spool) Append(sequence uint64, end time.Time, body []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.begun || s.lock == nil {
		return errs.New(errs.Internal, "spooling report %d: the spool was not begun, or is closed", sequence)
	}
	e := Entry{Run: s.state.Run, Boot: s.state.Boot, Sequence: sequence, Size: int64(fileHeader + len(body)), Written: s.cfg.Now()}
	if e.Size > s.cfg.MaxBytes {
		return errs.New(errs.TooLarge, "spooling report %d: it has %d bytes and spool.max_bytes is %d", sequence, e.Size, s.cfg.MaxBytes)
	}
	s.trim(e.Size)
	if err := disk.WriteParts(filepath.Join(s.cfg.Dir, e.name()), headerOf(end, body), body); err != nil {
		return fmt.Errorf("spooling report %d: %w", sequence, err)
	}
	s.entries = append(s.entries, e)
	s.bytes += e.Size
	s.state.Sequence, s.state.End, s.state.Gap = sequence, end.UTC(), nil
	if err := s.state.write(s.cfg.Dir); err != nil {
		// The report is safe, and a restart notes what is missing here.
		s.cfg.Log.Warn("the spool's state could not be written", "error", err)
	}
	select {
	case s.wake <- struct{}{}:
	default:
	}
	return nil
}
