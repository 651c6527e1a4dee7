package event

import (
	"encoding/json"
	"errors"
	"path"
	"strings"
	"time"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet"
)

// maxGlob is the longest glob in bytes.
const maxGlob = 512

// parse reads a message of the stream: an event, or what a master tells of a
// job, which gets a name with a slash that nobody else can give.
func parse(seq uint64, subject string, data []byte) (fleet.Event, error) {
	if strings.HasPrefix(subject, "jobevt.") {
		return parseJob(seq, data)
	}
	var e fleet.Event
	if err := json.Unmarshal(data, &e); err != nil {
		return e, err
	}
	if err := fleet.CheckEventName(e.Name); err != nil {
		return e, err
	}
	e.Seq = seq
	return e, nil
}

func parseJob(seq uint64, data []byte) (fleet.Event, error) {
	var told struct {
		Event string          `json:"event"`
		At    time.Time       `json:"at"`
		Job   json.RawMessage `json:"job"`
	}
	if err := json.Unmarshal(data, &told); err != nil {
		return fleet.Event{}, err
	}
	var job struct {
		By string `json:"by"`
	}
	if err := json.Unmarshal(told.Job, &job); err != nil {
		return fleet.Event{}, err
	}
	if fleet.CheckEventName(told.Event) != nil {
		return fleet.Event{}, errors.New("a job's event has no name")
	}
	return fleet.Event{Seq: seq, Name: "job/" + told.Event, By: job.By, At: told.At, Data: told.Job}, nil
}

// glob chooses events by their names.
type glob string

// parseGlob reads a glob in which * stands for anything, also for dots and
// slashes. "" is all.
func parseGlob(s string) (glob, error) {
	if len(s) > maxGlob {
		return "", errs.New(errs.TooLarge, "the glob has %d bytes, at most %d are taken", len(s), maxGlob)
	}
	if s == "" {
		s = "*"
	}
	g := glob(unslash(s))
	if _, err := path.Match(string(g), ""); err != nil {
		return "", errs.New(errs.Invalid, "%.80q is no glob of events' names, such as disk.* or job/*", s)
	}
	return g, nil
}

// unslash takes a slash its meaning for path.Match. Names have no byte of one.
func unslash(s string) string { return strings.ReplaceAll(s, "/", "\x01") }

func (g glob) match(name string) bool {
	if g == "*" {
		return true
	}
	ok, err := path.Match(string(g), unslash(name))
	return ok && err == nil
}
