package cli

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rind-project/rind/internal/api/wire"
	"github.com/rind-project/rind/internal/cli/render"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/job/function/schema"
)

// jobFlags say how a job is to be run.
type jobFlags struct {
	timeout, slicePause             time.Duration
	batch, concurrency, maxFailures string
	at, expires                     string
	canary, slices                  int
	pause, async, dryRun            bool
}

func (j *jobFlags) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.VarP((*span)(&j.timeout), "timeout", "t", "how long each host may take to answer, such as 30 or 5m (the server's default without it)")
	f.StringVarP(&j.batch, "batch", "b", "", "go out in waves of so many hosts, each when the one before has ended")
	f.StringVar(&j.concurrency, "concurrency", "", "let at most so many hosts work on it at the same time")
	f.StringVar(&j.maxFailures, "max-failures", "", "give it to nobody else when more hosts have failed or not answered")
	f.IntVar(&j.canary, "canary", 0, "begin with so many hosts, and go on when none of them failed")
	f.BoolVar(&j.pause, "pause", false, "wait behind the canary for rind job resume")
	f.IntVar(&j.slices, "slices", 0, "go out in so many waves, each larger than the one before; one that is not healthy pauses it")
	f.Var((*span)(&j.slicePause), "slice-pause", "wait so long between slices")
	f.StringVar(&j.at, "at", "", "begin then: 22:30, 2026-01-02T15:04:05Z, or 15m for in 15 minutes")
	f.StringVar(&j.expires, "expires", "", "until when a host that is away gets it when it comes back: 24h, or a moment as of --at")
	f.BoolVar(&j.async, "async", false, "do not wait: print the job's id")
	f.BoolVar(&j.dryRun, "dry-run", false, "show who would get it in which wave, and send nothing")
}

// span is a flag of a duration. A number without a unit is seconds.
type span time.Duration

// Set reads the flag.
func (s *span) Set(text string) error {
	d, err := schema.ParseDuration(text)
	if err != nil {
		return fmt.Errorf("%q is no duration: give one such as 30s, 5m or 1h; a number alone is seconds", text)
	}
	*s = span(d)
	return nil
}

// Type names it in the usage.
func (s *span) Type() string { return "duration" }

// String is empty without a value, so that no default is shown.
func (s *span) String() string {
	if *s == 0 {
		return ""
	}
	return time.Duration(*s).String()
}

// request is what is asked for, without target and function.
func (j *jobFlags) request(now time.Time) (in wire.JobIn, err error) {
	switch {
	case j.async && j.dryRun:
		return in, errors.New("--dry-run sends nothing, so there is nothing for --async not to wait for: leave one of them out")
	case j.batch != "" && j.slices > 0:
		return in, errors.New("a job goes out in batches or in slices: leave --batch or --slices out")
	}
	in = wire.JobIn{Timeout: wire.Span(j.timeout), Canary: j.canary, Pause: j.pause, Slices: j.slices, SlicePause: wire.Span(j.slicePause)}
	for _, f := range []struct {
		name, text string
		zero       bool
		into       *fleet.Share
	}{{"batch", j.batch, false, &in.Batch}, {"concurrency", j.concurrency, false, &in.Concurrency}, {"max-failures", j.maxFailures, true, &in.MaxFailures}} {
		if f.text == "" {
			continue
		}
		if *f.into, err = fleet.ParseShare(f.text, f.zero); err != nil {
			return in, fmt.Errorf("--%s: %w", f.name, err)
		}
	}
	if in.Start, err = later("at", j.at, now); err != nil {
		return in, err
	}
	in.Expires, err = later("expires", j.expires, now)
	return in, err
}

// later reads a moment to come. A time of day is the next one of this
// machine's clock.
func later(name, text string, now time.Time) (l wire.Later, err error) {
	if text == "" {
		return l, nil
	}
	text = strings.TrimSpace(strings.TrimPrefix(text, "in "))
	for _, layout := range []string{"15:04", "15:04:05"} {
		day, err := time.ParseInLocation(layout, text, now.Location())
		if err != nil {
			continue
		}
		at := time.Date(now.Year(), now.Month(), now.Day(), day.Hour(), day.Minute(), day.Second(), 0, now.Location())
		if !at.After(now) {
			at = at.AddDate(0, 0, 1)
		}
		text = at.Format(time.RFC3339)
	}
	if err := l.UnmarshalText([]byte(text)); err != nil {
		return l, fmt.Errorf("--%s: %q is not a moment to come: give a time of day such as 22:30, a time such as 2026-01-02T15:04:05Z, or how long from now such as 15m, 24h or 2d",
			name, text)
	}
	return l, nil
}

// sendJob begins a job and does not wait.
func (s *shell) sendJob(ctx context.Context, in wire.JobIn) error {
	var j fleet.Job
	if err := s.post(ctx, "/jobs", in, &j); err != nil {
		return pointed(err, in.Target)
	}
	s.hintUnknown(j.Unknown)
	if s.format != asTable {
		return s.show(j, nil)
	}
	s.hint("%d targeted; follow it: rind job watch %s", j.Summary.Targeted, j.JID)
	return say(s.opts.Out, j.JID)
}

// hintUnknown tells of ids that were listed and that nobody has, so that a
// misspelt one is not taken for one that has nothing to say.
func (s *shell) hintUnknown(ids []fleet.PeelID) {
	if len(ids) == 0 {
		return
	}
	names := make([]string, len(ids))
	for i, id := range ids {
		names[i] = render.Line(string(id))
	}
	s.hint("%s", wrap("not enrolled, and not asked:", names, s.width()))
}

// planJob shows what a job would do.
func (s *shell) planJob(ctx context.Context, in wire.JobIn) error {
	var p fleet.JobPlan
	if err := s.post(ctx, "/jobs/plan", in, &p); err != nil {
		return pointed(err, in.Target)
	}
	s.hintUnknown(p.Unknown)
	err := s.show(p, func() *render.Table {
		t := &render.Table{Columns: render.Columns(">WAVE", ">HOSTS", "FIRST OF THEM")}
		for i, w := range p.Waves {
			names := ""
			for n, id := range w.Peels {
				if n > 0 {
					names += ", "
				}
				names += string(id)
			}
			if len(w.Peels) < w.Hosts {
				names += ", …"
			}
			t.Add(strconv.Itoa(i+1), strconv.Itoa(w.Hosts), names)
		}
		return t
	})
	if err != nil || s.format != asTable {
		return err
	}
	failures := "any number may fail"
	if p.Failures >= 0 {
		failures = fmt.Sprintf("%d may fail", p.Failures)
	}
	line := fmt.Sprintf("%d targeted, at most %d at the same time, %s; nothing was sent", p.Targeted, p.Window, failures)
	if !p.Start.IsZero() {
		line += "; it would begin " + s.when(p.Start)
	}
	return say(s.opts.Out, line)
}
