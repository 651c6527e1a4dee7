// Package cron holds the functions about what runs at set times.
package cron

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/rind-project/rind/internal/fleet/job/function/local"
	"github.com/rind-project/rind/internal/fleet/job/function/schema"
)

// Entry is an entry of a crontab, or a script of one of the folders whose
// scripts run at an interval.
type Entry struct {
	User     string `json:"user"`
	Schedule string `json:"schedule"`
	Command  string `json:"command"`
	File     string `json:"file"`
	Line     int    `json:"line,omitempty"`
}

// Limits of what is read.
const (
	maxTabs    = 5000
	maxEntries = 20000
)

// Runs are the functions cron.*.
func Runs(s *local.System) map[string]schema.Run {
	return map[string]schema.Run{"cron.list": list(s)}
}

func list(s *local.System) schema.Run {
	return func(ctx context.Context, c schema.Call) (schema.Result, error) {
		r := &reader{sys: s, user: c.Args.Text("user"), out: []Entry{}}
		err := errors.Join(
			r.tab("/etc/crontab", ""),
			r.tabs("/etc/cron.d", false),
			r.tabs("/var/spool/cron/crontabs", true), // Debian, Alpine
			r.tabs("/var/spool/cron/tabs", true),     // SUSE
			r.tabs("/var/spool/cron", true),          // Red Hat, Arch
			r.scripts())
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		if err != nil {
			return schema.Result{}, err
		}
		return schema.Result{Value: r.out}, nil
	}
}

type reader struct {
	sys  *local.System
	user string // only this one's, when it is set
	out  []Entry
}

func (r *reader) add(e Entry) {
	if len(r.out) < maxEntries && (r.user == "" || r.user == e.User) {
		r.out = append(r.out, e)
	}
}

// entries are the names in a folder that may not be there.
func (r *reader) entries(dir string) ([]os.DirEntry, error) {
	all, err := os.ReadDir(r.sys.Path(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, local.FileError("reading", dir, err)
	}
	return all[:min(len(all), maxTabs)], nil
}

// tabs reads a folder of crontabs: with owned, each has the name of its user.
func (r *reader) tabs(dir string, owned bool) error {
	all, err := r.entries(dir)
	for _, e := range all {
		if !e.Type().IsRegular() || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		user := ""
		if owned {
			user = e.Name()
		}
		if err := r.tab(filepath.Join(dir, e.Name()), user); err != nil {
			return err
		}
	}
	return err
}

// tab reads a crontab. Without a user each entry has one in its own field.
func (r *reader) tab(path, user string) error {
	text, err := r.sys.Read(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	n := 0
	for line := range strings.SplitSeq(text, "\n") {
		n++
		if e, ok := parse(line, user); ok {
			e.File, e.Line = local.Clean(path), n
			r.add(e)
		}
	}
	return nil
}

// parse reads a line of crontab(5): five fields or a word with @, a user where
// the file has none, and a command.
func parse(line, user string) (Entry, bool) {
	line = strings.TrimSpace(line)
	if line == "" || line[0] == '#' {
		return Entry{}, false
	}
	fields := 5
	if line[0] == '@' {
		fields = 1
	} else if !strings.ContainsRune("0123456789*", rune(line[0])) {
		return Entry{}, false // it sets a variable
	}
	var schedule []string
	for range fields {
		var w string
		w, line = word(line)
		schedule = append(schedule, w)
	}
	e := Entry{User: user, Schedule: local.Clean(strings.Join(schedule, " "))}
	if user == "" {
		e.User, line = word(line)
	}
	e.User, e.Command = local.Clean(e.User), local.Clean(line)
	return e, e.Command != "" && e.User != ""
}

func word(s string) (first, rest string) {
	if i := strings.IndexAny(s, " \t"); i >= 0 {
		return s[:i], strings.TrimLeft(s[i:], " \t")
	}
	return s, ""
}

// scripts lists what runs each hour, day, week and month.
func (r *reader) scripts() error {
	for _, every := range []string{"hourly", "daily", "weekly", "monthly"} {
		for _, dir := range []string{"/etc/cron." + every, "/etc/periodic/" + every} {
			all, err := r.entries(dir)
			if err != nil {
				return err
			}
			for _, e := range all {
				if path := filepath.Join(dir, e.Name()); r.sys.Executable(path) {
					r.add(Entry{User: "root", Schedule: "@" + every, Command: local.Clean(path), File: dir})
				}
			}
		}
	}
	return nil
}
