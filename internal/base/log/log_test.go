package log

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rind-project/rind/internal/base/errs"
)

func TestLevels(t *testing.T) {
	t.Parallel()
	for level, want := range map[string]int{"debug": 4, "": 3, "info": 3, "INFO": 3, "warn": 2, "warning": 2, "error": 1} {
		var out bytes.Buffer
		log, err := New(&out, Options{Level: level})
		if err != nil {
			t.Fatal(err)
		}
		log.Debug("a")
		log.Info("a")
		log.Warn("a")
		log.Error("a")
		if got := strings.Count(out.String(), "\n"); got != want {
			t.Errorf("%q: %d lines, want %d", level, got, want)
		}
	}
}

func TestOptionsRefused(t *testing.T) {
	t.Parallel()
	for _, opts := range []Options{{Level: "loud"}, {Format: "xml"}} {
		if _, err := New(io.Discard, opts); !errs.Is(err, errs.Invalid) {
			t.Errorf("%+v: got %v", opts, err)
		}
		if err := opts.Validate(); !errs.Is(err, errs.Invalid) {
			t.Errorf("%+v: got %v", opts, err)
		}
	}
	if err := Defaults().Validate(); err != nil {
		t.Error(err)
	}
}

func TestJSON(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"json", "auto", ""} { // a buffer is no terminal
		var out bytes.Buffer
		log, err := New(&out, Options{Format: format})
		if err != nil {
			t.Fatal(err)
		}
		log.With("peel", "web\n\x1b[31m01").Info("started", "took", 1500*time.Millisecond+7, "error", errors.New("why"), slog.Group("g", "n", 1))
		var line struct {
			Time             time.Time
			Level, Msg, Peel string
			Took, Error      string
			G                struct{ N int }
		}
		if err := json.Unmarshal(out.Bytes(), &line); err != nil {
			t.Fatalf("%v: %s", err, out.String())
		}
		if line.Level != "INFO" || line.Msg != "started" || line.Peel != "web\n\x1b[31m01" || line.Took != "1.5s" || line.Error != "why" || line.G.N != 1 {
			t.Errorf("got %+v", line)
		}
		if line.Time.Location() != time.UTC || time.Since(line.Time) > time.Minute {
			t.Errorf("time %v", line.Time)
		}
		if strings.Count(out.String(), "\n") != 1 || strings.Contains(out.String(), "\x1b") {
			t.Errorf("control characters pass: %q", out.String())
		}
	}
}

func TestText(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log, err := New(&out, Options{Format: "text"})
	if err != nil {
		t.Fatal(err)
	}
	log.Info("started", "peel", "web\n\x1b[31m01", "took", time.Second)
	if got := out.String(); !strings.Contains(got, ` level=INFO msg=started peel="web\n\x1b[31m01" took=1s`) || len(got) > 80 {
		t.Errorf("got %q", got)
	}
}

// A real terminal gets text.
func TestTerminal(t *testing.T) {
	t.Parallel()
	primary, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("this machine gives no terminal: %v", err)
	}
	defer primary.Close()
	if err := unix.IoctlSetPointerInt(int(primary.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Skipf("this machine gives no terminal: %v", err)
	}
	fd, err := unix.IoctlRetInt(int(primary.Fd()), unix.TIOCGPTPEER)
	if err != nil {
		t.Skipf("this machine gives no terminal: %v", err)
	}
	terminal := os.NewFile(uintptr(fd), "terminal")
	defer terminal.Close()
	text, err := isText(terminal, "auto")
	if err != nil || !text {
		t.Errorf("got %v, %v", text, err)
	}
	if text, _ := isText(terminal, "json"); text {
		t.Error("json was asked for")
	}
}
