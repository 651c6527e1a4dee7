package cli

import (
	"fmt"
	"time"

	"github.com/rind-project/rind/internal/cli/render"
	"github.com/rind-project/rind/internal/fleet"
)

// sayEnd writes the last lines of a job: why it ended or waits, if that is not
// plain, and the exact numbers.
func (s *shell) sayEnd(j fleet.Job) error {
	if line := s.fate(j); line != "" {
		if err := say(s.opts.Out, line); err != nil {
			return err
		}
	}
	if err := say(s.opts.Out, s.summary(j.Summary)); err != nil {
		return err
	}
	if j.State == fleet.JobPaused {
		s.hint("go on with it: rind job resume %s\nend it:        rind job cancel %s", j.JID, j.JID)
	}
	return nil
}

// fate says why a job is paused, stopped or cancelled, "" when it is not.
func (s *shell) fate(j fleet.Job) string {
	switch j.State {
	case fleet.JobPaused, fleet.JobStopped, fleet.JobCancelled:
		return s.paint().Bad(string(j.State)) + ": " + render.Line(j.Reason)
	case fleet.JobScheduled:
		return "scheduled: it begins " + s.when(j.Start)
	}
	return ""
}

// summary is the last line of a job: exact numbers, and every missing peel.
func (s *shell) summary(sum fleet.Summary) string {
	line := fmt.Sprintf("%d targeted, %d answered, %d failed, %d missing", sum.Targeted, sum.Answered, sum.Failed, sum.Missing)
	if sum.Unsent > 0 {
		line += fmt.Sprintf(" (%d of them did not get it)", sum.Unsent)
	}
	if len(sum.MissingPeels) == 0 {
		return line
	}
	names := make([]string, len(sum.MissingPeels))
	for i, id := range sum.MissingPeels {
		names[i] = render.Line(string(id))
	}
	return wrap(line+":", names, s.width())
}

// when is a moment to come, and how far that is.
func (s *shell) when(t time.Time) string {
	return fmt.Sprintf("at %s, in %s", t.Local().Format("2006-01-02 15:04:05 MST"), t.Sub(s.opts.Now()).Round(time.Second))
}
