// Package log makes the logger of a daemon: text for a person at a terminal,
// one JSON object per line for everything else. There is no package logger;
// what is made here is handed to each component.
package log

import (
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/rind-project/rind/internal/base/config"
	"github.com/rind-project/rind/internal/base/errs"
)

// Options say how much is logged and in which form. Their zero value logs from
// info on, in the form that suits the writer.
type Options struct {
	Level  string `yaml:"level" help:"least level that is logged: debug, info, warn or error"`
	Format string `yaml:"format" help:"form of a line: text, json, or auto (text on a terminal, else json)"`
}

// Defaults returns the options of a daemon that was told nothing.
func Defaults() Options { return Options{Level: "info", Format: "auto"} }

// Validate refuses a level or a format that does not exist.
func (o Options) Validate() error {
	if _, err := parseLevel(o.Level); err != nil {
		return config.Bad("level", "%w", err)
	}
	if _, err := isText(io.Discard, o.Format); err != nil {
		return config.Bad("format", "%w", err)
	}
	return nil
}

// New returns a logger that writes to w.
func New(w io.Writer, opts Options) (*slog.Logger, error) {
	level, err := parseLevel(opts.Level)
	if err != nil {
		return nil, err
	}
	text, err := isText(w, opts.Format)
	if err != nil {
		return nil, err
	}
	if text {
		return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: level, ReplaceAttr: forPerson})), nil
	}
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level, ReplaceAttr: forMachine})), nil
}

func parseLevel(s string) (slog.Level, error) {
	switch strings.ToLower(s) {
	case "debug":
		return slog.LevelDebug, nil
	case "", "info":
		return slog.LevelInfo, nil
	case "warn", "warning":
		return slog.LevelWarn, nil
	case "error":
		return slog.LevelError, nil
	}
	return 0, errs.New(errs.Invalid, "log level %q does not exist; use debug, info, warn or error", s)
}

func isText(w io.Writer, format string) (bool, error) {
	switch strings.ToLower(format) {
	case "text":
		return true, nil
	case "json":
		return false, nil
	case "", "auto":
		f, ok := w.(*os.File)
		return ok && term.IsTerminal(int(f.Fd())), nil
	}
	return false, errs.New(errs.Invalid, "log format %q does not exist; use auto, text or json", format)
}

// forPerson shortens the time to what one reads at a terminal.
func forPerson(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && a.Key == slog.TimeKey && a.Value.Kind() == slog.KindTime {
		a.Value = slog.StringValue(a.Value.Time().Format("15:04:05.000"))
	}
	return a
}

// forMachine writes times in UTC, so that lines of several hosts sort, and
// durations with their unit, since a bare number has lost it.
func forMachine(_ []string, a slog.Attr) slog.Attr {
	switch a.Value.Kind() {
	case slog.KindTime:
		a.Value = slog.TimeValue(a.Value.Time().UTC())
	case slog.KindDuration:
		a.Value = slog.StringValue(a.Value.Duration().Round(time.Microsecond).String())
	}
	return a
}
