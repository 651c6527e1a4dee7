package sim

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/rind-project/rind/internal/fleet/job/function"
)

// functions are the real ones, but the shell of a simulated host is simulated
// too: thousands share one machine.
func functions() []function.Function {
	all := function.All()
	for i := range all {
		if all[i].Name == "cmd.run" {
			all[i].Run = shell
		}
	}
	return all
}

// Commands that a simulated host knows.
const (
	CommandState = "state" // "state BYTES" returns a text of so many bytes, as a state run may
	CommandOnce  = "once"  // "once FOLDER" notes in the host's own folder below it that it ran
)

// ranFile is where a host notes that it ran something, a line each time.
const ranFile = "ran"

func shell(_ context.Context, c function.Call) (function.Result, error) {
	word, rest, _ := strings.Cut(c.Args.Text("command"), " ")
	switch word {
	case CommandState:
		n, err := strconv.Atoi(rest)
		if err != nil || n < 0 || n > 8<<20 {
			return function.Result{}, fmt.Errorf("%q is no number of bytes", rest)
		}
		return function.Result{Value: filler(n)}, nil
	case CommandOnce:
		return function.Result{Value: "ran"}, note(filepath.Join(rest, string(c.Host.ID()), ranFile))
	}
	return function.Result{}, fmt.Errorf("a simulated host has no command %q", word)
}

// note appends a line and takes a moment, as what changes a host does.
func note(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString("ran\n")
	time.Sleep(50 * time.Millisecond)
	if closed := f.Close(); err == nil {
		err = closed
	}
	return err
}

// Runs counts the hosts that ran what notes, once and more than once.
func Runs(state string) (once, more int, err error) {
	err = filepath.WalkDir(state, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.Name() != ranFile {
			return err
		}
		b, err := os.ReadFile(path)
		switch strings.Count(string(b), "\n") {
		case 0:
		case 1:
			once++
		default:
			more++
		}
		return err
	})
	return once, more, err
}

func filler(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = "abcdefghijklmnopqrstuvwxyz0123456789"[(i*7+i/36)%36]
	}
	return string(b)
}
