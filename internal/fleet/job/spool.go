package job

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/rind-project/rind/internal/base/disk"
	"github.com/rind-project/rind/internal/fleet"
)

// Limits of a spool.
const (
	maxSpooled      = 1024
	maxSpooledBytes = 256 << 20
)

// Spool keeps returns until they are acknowledged: a file each, named by the
// job, or in memory when it has no folder.
type Spool struct {
	dir string

	mu    sync.Mutex
	sizes map[string]int64
	bytes int64
	mem   map[string][]byte // without a folder
}

// OpenSpool opens the folder, or makes it.
func OpenSpool(dir string) (*Spool, error) {
	s := &Spool{dir: dir, sizes: map[string]int64{}, mem: map[string][]byte{}}
	if dir == "" {
		return s, nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("opening the spool of returns: %w", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("opening the spool of returns: %w", err)
	}
	for _, e := range entries {
		jid, isReturn := strings.CutSuffix(e.Name(), ".json")
		info, err := e.Info()
		if !isReturn || !ValidJID(jid) || err != nil {
			if strings.HasSuffix(e.Name(), disk.TempSuffix) {
				os.Remove(filepath.Join(dir, e.Name())) // an unfinished write
			}
			continue
		}
		s.sizes[jid] = info.Size()
		s.bytes += info.Size()
	}
	return s, nil
}

func (s *Spool) file(jid string) string { return filepath.Join(s.dir, jid+".json") }

// Put keeps the return of a job, in its JSON form. With sync it survives an
// end of the machine too. When the spool is full the return is not kept, and
// the error wraps ErrSpoolFull.
func (s *Spool) Put(jid string, b []byte, sync bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, again := s.sizes[jid]; !again && (len(s.sizes) >= maxSpooled || s.bytes+int64(len(b)) > maxSpooledBytes) {
		return fmt.Errorf("%w: %d returns with %d bytes wait for the bus", ErrSpoolFull, len(s.sizes), s.bytes)
	}
	write := disk.ReplaceFile
	if sync {
		write = disk.WriteFile
	}
	if s.dir == "" {
		s.mem[jid] = b
	} else if err := write(s.file(jid), b); err != nil {
		return fmt.Errorf("spooling a return: %w", err)
	}
	s.bytes += int64(len(b)) - s.sizes[jid]
	s.sizes[jid] = int64(len(b))
	return nil
}

// Get returns what is kept for a job, and its JSON form.
func (s *Spool) Get(jid string) (r fleet.Return, b []byte, err error) {
	if b, err = s.read(jid); err == nil {
		err = json.Unmarshal(b, &r)
	}
	if err != nil {
		return r, nil, fmt.Errorf("reading the spool of returns: %w", err)
	}
	return r, b, nil
}

func (s *Spool) read(jid string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dir != "" {
		return os.ReadFile(s.file(jid))
	}
	b, ok := s.mem[jid]
	if !ok {
		return nil, os.ErrNotExist
	}
	return b, nil
}

// Has reports whether something is kept for a job.
func (s *Spool) Has(jid string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.sizes[jid]
	return ok
}

// Jobs returns the jobs that something is kept for, oldest first.
func (s *Spool) Jobs() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]string, 0, len(s.sizes))
	for jid := range s.sizes {
		out = append(out, jid)
	}
	slices.Sort(out)
	return out
}

// Remove forgets a job's return.
func (s *Spool) Remove(jid string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bytes -= s.sizes[jid]
	delete(s.sizes, jid)
	delete(s.mem, jid)
	if s.dir == "" {
		return nil
	}
	if err := os.Remove(s.file(jid)); err != nil && !os.IsNotExist(err) {
		return fmt.Errorf("clearing the spool of returns: %w", err)
	}
	return nil
}
