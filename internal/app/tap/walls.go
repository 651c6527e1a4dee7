package tap

import (
	"log/slog"
	"strings"
)

// read takes what /proc/PID/status says (proc(5)).
func (w *Walls) read(text string) {
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		value = strings.TrimSpace(value)
		switch key {
		case "CapEff":
			w.Capabilities = value
		case "NoNewPrivs":
			w.NoNewPrivs = value == "1"
		case "Seccomp":
			w.Seccomp = value == "2"
		}
	}
}

// wallUp takes every right away from this process that parsing does not need:
// it becomes the user, without a capability, and is confined to the system
// calls of a list. A kernel that cannot filter calls is told, and the tap goes
// on behind the other walls.
func wallUp(uid, gid int, log *slog.Logger) error {
	if err := drop(uid, gid); err != nil {
		return err
	}
	if err := confine(); err != nil {
		log.Error("the parsing process may make every system call that its user may", "error", err)
	}
	return nil
}
