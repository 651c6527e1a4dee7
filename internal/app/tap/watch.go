package tap

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"
)

// watchEvery is how often files are looked at.
const watchEvery = time.Second

// stamp is what tells that a file has become another.
type stamp struct {
	there bool
	size  int64
	mod   time.Time
}

func stampOf(path string) stamp {
	info, err := os.Stat(path)
	if err != nil {
		return stamp{}
	}
	return stamp{true, info.Size(), info.ModTime()}
}

// watchFile calls changed when the file has become another and has stayed so
// between two looks, so that one that is being written is left alone, and
// whenever asked gives a value.
func watchFile(ctx context.Context, path string, asked <-chan os.Signal, changed func()) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	known := stampOf(path)
	last := known
	for {
		select {
		case <-ctx.Done():
			return
		case <-asked:
			known = stampOf(path)
			last = known
			changed()
		case <-tick.C:
			now := stampOf(path)
			if now != known && now == last {
				known = now
				changed()
			}
			last = now
		}
	}
}

// pushed is a message of the opener to the parsing process: what became of the
// configuration.
type pushed struct {
	Config *Config `json:"config,omitempty"`
	Error  string  `json:"error,omitempty"` // the file is broken, and the configuration as before
}

// allowedNames are the interfaces for which the opener opens sockets.
type allowedNames struct {
	mu    sync.Mutex
	names []string
}

func (a *allowedNames) set(names []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.names = names
}

func (a *allowedNames) has(name string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Contains(a.names, name)
}

// openerReload reads the configuration again. The opener itself takes the names
// of interfaces from it, and hands the rest to the parsing process, which may
// not be able to read the file.
func openerReload(read func() (Config, error), names *allowedNames, to io.Writer, log *slog.Logger) {
	var message pushed
	cfg, err := read()
	if err != nil {
		log.Error("the configuration is broken: the one before stays in force", "error", err)
		message.Error = err.Error()
	} else {
		names.set(cfg.InterfaceNames())
		message.Config = &cfg
	}
	if err := json.NewEncoder(to).Encode(message); err != nil {
		log.Error("the configuration could not be handed to the parsing process", "error", err)
	}
}

// receive takes the opener's messages until it is gone.
func receive(from io.Reader, take func(pushed)) error {
	for dec := json.NewDecoder(from); ; {
		var message pushed
		if err := dec.Decode(&message); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("reading what the opener says: %w", err)
		}
		take(message)
	}
}
