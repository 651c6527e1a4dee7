package job

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rind-project/rind/internal/base/disk"
)

// maxSeen bounds the jobs that are remembered at the same time. When so many
// are alive, further ones are refused, since forgetting one would let it run
// twice.
const maxSeen = 1 << 16

// Seen remembers which jobs came to this peel, until they cannot come again,
// and which of them have been answered. With a file it does so across
// restarts: the file is a log of lines "+jid unix-seconds" and "-jid", made
// anew when it is opened and when it has grown.
type Seen struct {
	path string

	mu    sync.Mutex
	jobs  map[string]seenJob
	file  *os.File // nil: in memory only
	lines int
	base  int // lines when the list was made anew last
}

type seenJob struct {
	until    time.Time
	answered bool
}

// OpenSeen opens the file, or makes it; "" keeps everything in memory.
func OpenSeen(path string, now time.Time) (*Seen, error) {
	s := &Seen{path: path, jobs: map[string]seenJob{}}
	if path == "" {
		return s, nil
	}
	if err := s.load(now); err != nil {
		return nil, fmt.Errorf("opening the list of seen jobs: %w", err)
	}
	if err := s.rewrite(now); err != nil {
		return nil, fmt.Errorf("opening the list of seen jobs: %w", err)
	}
	return s, nil
}

// load reads the file. A line that was cut off by a crash is left out: it was
// the last one, and its job had not been started.
func (s *Seen) load(now time.Time) error {
	f, err := os.Open(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	for sc := bufio.NewScanner(f); sc.Scan(); {
		s.replay(sc.Text(), now)
	}
	return nil
}

func (s *Seen) replay(line string, now time.Time) {
	if jid, ok := strings.CutPrefix(line, "-"); ok {
		if j, known := s.jobs[jid]; known {
			j.answered = true
			s.jobs[jid] = j
		}
		return
	}
	jid, at, ok := strings.Cut(strings.TrimPrefix(line, "+"), " ")
	sec, err := strconv.ParseInt(at, 10, 64)
	if !ok || err != nil || line[0] != '+' || !ValidJID(jid) || len(s.jobs) >= maxSeen {
		return
	}
	if until := time.Unix(sec, 0); until.After(now) {
		s.jobs[jid] = seenJob{until: until}
	}
}

// rewrite makes the file anew with what is alive. The caller holds the lock,
// or is alone.
func (s *Seen) rewrite(now time.Time) error {
	var b strings.Builder
	s.lines = 0
	for jid, j := range s.jobs {
		if !j.until.After(now) {
			delete(s.jobs, jid)
			continue
		}
		fmt.Fprintf(&b, "+%s %d\n", jid, j.until.Unix())
		s.lines++
		if j.answered {
			fmt.Fprintf(&b, "-%s\n", jid)
			s.lines++
		}
	}
	if err := disk.WriteFile(s.path, []byte(b.String())); err != nil {
		return err
	}
	f, err := os.OpenFile(s.path, os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	if s.file != nil {
		s.file.Close()
	}
	s.file, s.base = f, s.lines
	return nil
}

// Has reports whether the job came before.
func (s *Seen) Has(jid string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.jobs[jid]
	return ok
}

// Add notes a job, and reports whether it is new. The note survives an end of
// the process at once, and an end of the machine after Sync.
func (s *Seen) Add(jid string, until, now time.Time) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.jobs[jid]; ok {
		return false, nil
	}
	if len(s.jobs) >= maxSeen {
		s.forget(now)
		if len(s.jobs) >= maxSeen {
			return false, fmt.Errorf("%d jobs are alive, which is the limit", maxSeen)
		}
	}
	if err := s.append(fmt.Sprintf("+%s %d\n", jid, until.Unix()), now); err != nil {
		return false, err
	}
	s.jobs[jid] = seenJob{until: until}
	return true, nil
}

// Answered notes that the return of the job is kept elsewhere.
func (s *Seen) Answered(jid string, now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	j, ok := s.jobs[jid]
	if !ok || j.answered {
		return nil
	}
	j.answered = true
	s.jobs[jid] = j
	return s.append("-"+jid+"\n", now)
}

// Unanswered returns the jobs that were begun and have no return.
func (s *Seen) Unanswered() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for jid, j := range s.jobs {
		if !j.answered {
			out = append(out, jid)
		}
	}
	return out
}

// append writes a line. A file that has grown well past what was alive when it
// was made is made anew first.
func (s *Seen) append(line string, now time.Time) error {
	if s.file == nil {
		if s.path != "" {
			return errors.New("the list of seen jobs is closed")
		}
		if s.lines++; s.lines > 1024+2*s.base {
			s.forget(now)
			s.lines, s.base = len(s.jobs), len(s.jobs)
		}
		return nil
	}
	if s.lines > 1024+2*s.base {
		if err := s.rewrite(now); err != nil {
			return err
		}
	}
	if _, err := s.file.WriteString(line); err != nil {
		return err
	}
	s.lines++
	return nil
}

func (s *Seen) forget(now time.Time) {
	for jid, j := range s.jobs {
		if !j.until.After(now) {
			delete(s.jobs, jid)
		}
	}
}

// Sync makes the notes survive an end of the machine.
func (s *Seen) Sync() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file == nil {
		return nil
	}
	return s.file.Sync()
}

// Close closes the file.
func (s *Seen) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file == nil {
		return nil
	}
	err := s.file.Close()
	s.file = nil
	return err
}
