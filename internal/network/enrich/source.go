package enrich

import (
	"context"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/rind-project/rind/internal/base/errs"
)

// Times of a source.
const (
	lookEvery  = time.Minute     // at a file, whether it has changed
	retryFirst = 5 * time.Minute // after a fetch that failed; doubled each time, up to Refresh
)

// source is one file that is kept up to date.
type source struct {
	key, from string
	path      string // of the file: the operator's, or this node's copy of the URL
	remote    bool
	refresh   time.Duration
	limit     int64
	use       func(content []byte) (entries int, err error)
	deps      Deps
	log       *slog.Logger
	metrics   *metrics

	state  os.FileInfo // of the file when it was read last
	broken string      // what was said of the file last
	due    time.Time   // of the next fetch
	fails  int
}

func newSource(key, file, from string, cfg Config, deps Deps, m *metrics, use func([]byte) (int, error)) *source {
	s := &source{
		key: key, from: from, path: from, refresh: cfg.Refresh, limit: int64(cfg.MaxSize), use: use,
		deps: deps, log: deps.Log.With("key", key), metrics: m,
	}
	if strings.Contains(from, "://") {
		s.remote, s.path = true, filepath.Join(deps.Dir, file)
	}
	short := strings.TrimPrefix(key, "enrich.")
	for _, r := range []string{"ok", "failed"} {
		m.reads.WithLabelValues(short, r)
	}
	if s.remote {
		for _, r := range []string{"changed", "unchanged", "failed"} {
			m.fetches.WithLabelValues(short, r)
		}
	}
	return s
}

func (s *source) short() string { return strings.TrimPrefix(s.key, "enrich.") }

// begin reads the file that is there. A copy that is younger than the refresh
// is not asked for anew, so that restarts do not cost the server a file each.
func (s *source) begin() {
	s.look()
	if s.remote && s.state != nil {
		s.due = s.state.ModTime().Add(s.refresh)
	}
}

// run looks until the context ends.
func (s *source) run(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		s.step(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// step does what is due.
func (s *source) step(ctx context.Context) {
	if !s.remote {
		s.look()
		return
	}
	if s.deps.Now().Before(s.due) {
		return
	}
	changed, err := s.fetch(ctx)
	result := "unchanged"
	switch {
	case ctx.Err() != nil:
		return
	case err != nil:
		result = "failed"
		wait := min(retryFirst<<min(s.fails, 10), s.refresh)
		s.fails++
		s.due = s.deps.Now().Add(wait)
		s.log.Warn("a file for enrichment could not be fetched; what was read last stays in use", "error", err, "again_in", wait)
	default:
		s.fails = 0
		// Nodes that started together do not ask together for ever.
		s.due = s.deps.Now().Add(s.refresh - rand.N(s.refresh/10+1))
		if changed {
			result = "changed"
		}
	}
	s.metrics.fetches.WithLabelValues(s.short(), result).Inc()
}

// look reads the file when it is not the one that was read last.
func (s *source) look() {
	state, err := os.Stat(s.path)
	if s.remote && os.IsNotExist(err) {
		return // it has not been fetched yet
	}
	if err == nil && s.state != nil && os.SameFile(state, s.state) && state.ModTime().Equal(s.state.ModTime()) && state.Size() == s.state.Size() {
		return
	}
	if err == nil {
		err = s.read(state)
	}
	if err == nil {
		s.broken = ""
		return
	}
	if s.broken != err.Error() {
		s.broken = err.Error()
		s.metrics.reads.WithLabelValues(s.short(), "failed").Inc()
		s.log.Warn("a file for enrichment could not be read; reports are taken without it, or with what was read last",
			"error", err, "hint", "correct the file, or "+s.key)
	}
}

func (s *source) read(state os.FileInfo) error {
	f, err := os.Open(s.path)
	if err != nil {
		return err
	}
	defer f.Close()
	content, err := readLimited(f, s.limit)
	if err == nil {
		content, err = unpack(content, s.limit)
	}
	if err != nil {
		return err
	}
	return s.take(content, state)
}

// take puts the content into use.
func (s *source) take(content []byte, state os.FileInfo) error {
	n, err := s.use(content)
	if err != nil {
		return err
	}
	s.state = state
	s.metrics.reads.WithLabelValues(s.short(), "ok").Inc()
	s.metrics.entries.WithLabelValues(s.short()).Set(float64(n))
	s.log.Info("a file for enrichment is in use", "entries", n, "bytes", len(content))
	return nil
}

// readLimited reads to the end and refuses more than the limit.
func readLimited(r io.Reader, limit int64) ([]byte, error) {
	content, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(content)) > limit {
		return nil, errs.New(errs.TooLarge, "the file has more than %d bytes; raise enrich.max_size if that is right", limit)
	}
	return content, nil
}
