package tap

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"time"
)

// tokenSource gives the token, and reads its file again when that changes, so
// that a token can be renewed without a restart.
type tokenSource struct {
	cfg Node

	mu    sync.Mutex
	token string
	mod   time.Time
}

// set has the token come from somewhere else.
func (s *tokenSource) set(cfg Node) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cfg, s.token = cfg, ""
}

// Token returns the token, or "" when none is configured.
func (s *tokenSource) Token() (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cfg.TokenFile == "" {
		return strings.TrimSpace(s.cfg.Token), nil
	}
	info, err := os.Stat(s.cfg.TokenFile)
	if err != nil {
		return "", fmt.Errorf("reading node.token_file: %w", err)
	}
	if s.token != "" && info.ModTime().Equal(s.mod) {
		return s.token, nil
	}
	if info.Size() > 4096 {
		return "", fmt.Errorf("reading node.token_file: %s has %d bytes, that is no token", s.cfg.TokenFile, info.Size())
	}
	b, err := os.ReadFile(s.cfg.TokenFile)
	if err != nil {
		return "", fmt.Errorf("reading node.token_file: %w", err)
	}
	s.token, s.mod = strings.TrimSpace(string(b)), info.ModTime()
	return s.token, nil
}
