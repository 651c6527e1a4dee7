package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/rind-project/rind/internal/api/wire"
	"github.com/rind-project/rind/internal/cli/client"
	"github.com/rind-project/rind/internal/cli/render"
	"github.com/rind-project/rind/internal/fleet"
)

func (s *shell) runCommand() *cobra.Command {
	var kinds kindFlags
	var how jobFlags
	cmd := &cobra.Command{
		Use:   "run TARGET FUNCTION [ARG…]",
		Short: "Run a function on hosts, and show what they return as it arrives",
		Long: "Run a function on the hosts that TARGET matches, and show what they return as it arrives.\n\n" +
			"The word run may be left out. Exit codes: 0 all answered and none failed, 1 it could not be asked,\n" +
			"2 some failed, 3 some did not answer, 4 both.\n\n" +
			"A number of hosts is written as 50, or as a share of them: 10%. A host that did not answer in time\n" +
			"counts as a failure for --max-failures, and for the health of a canary or a slice.",
		Example: "  rind run '*' test.ping\n" +
			"  rind 'web-*' facts.get mem.total\n" +
			"  rind run web-01 cmd.run 'df -h /'\n" +
			"  rind 'web-* and G@os:Debian and not S@10.2.0.0/16' test.ping\n" +
			"  rind -G 'mem.total>8GB' test.ping\n" +
			"  rind run --timeout 2m -o json 'db-*' cmd.run 'apt-get -q update'\n" +
			"  rind run --batch 10% --max-failures 2% 'web-*' service.restart nginx\n" +
			"  rind run --canary 3 --pause '*' pkg.upgrade\n" +
			"  rind run --slices 20 --slice-pause 30s '*' pkg.upgrade\n" +
			"  rind run --at 03:00 --expires 24h '*' cmd.run 'reboot'\n" +
			"  rind run --dry-run --batch 10% '*' test.ping",
		Args:              cobra.MinimumNArgs(2),
		ValidArgsFunction: s.completeRun,
		RunE: func(cmd *cobra.Command, args []string) error {
			in, err := how.request(s.opts.Now())
			if err != nil {
				return err
			}
			in.Target, in.Function, in.Args = kinds.expression(args[0]), args[1], args[2:]
			switch {
			case how.dryRun:
				return s.planJob(cmd.Context(), in)
			case how.async:
				return s.sendJob(cmd.Context(), in)
			}
			return s.run(cmd.Context(), in)
		},
	}
	how.flags(cmd)
	kinds.flags(cmd)
	return cmd
}

func (s *shell) run(ctx context.Context, in wire.JobIn) error {
	c, err := s.client(ctx)
	if err != nil {
		return err
	}
	var job fleet.Job
	if err := c.Post(ctx, "/jobs", in, &job); err != nil {
		return pointed(err, in.Target)
	}
	s.hintUnknown(job.Unknown)
	return s.followJob(ctx, c, job)
}

// followJob shows a job until its end, or until it waits for somebody.
func (s *shell) followJob(ctx context.Context, c *client.Client, job fleet.Job) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	f := &follower{shell: s, client: c, job: job, seen: map[fleet.PeelID]bool{}}
	f.progress = newProgress(s.opts.Err, job)
	err := f.follow(ctx)
	f.progress.stop()
	if errors.Is(err, context.Canceled) {
		err = errors.New("interrupted")
	}
	if err != nil {
		return fmt.Errorf("%w; the job goes on, see: rind job watch %s", err, job.JID)
	}
	if err := f.finish(); err != nil {
		return err
	}
	if f.format == asTable && f.job.State == fleet.JobDone && f.job.Summary.Missing > 0 {
		s.hint("a missing host may answer yet: rind job show %s", job.JID)
	}
	return outcome(f.job)
}

// outcome is the exit code of a job's end, as an error. Whoever is to get a
// job that is paused has not failed to answer.
func outcome(j fleet.Job) error {
	missing := j.Summary.Missing
	if !j.State.Ended() {
		missing -= j.Summary.Unsent
	}
	switch failed := j.Summary.Failed > 0; {
	case failed && missing > 0:
		return exit(exitBoth)
	case failed:
		return exit(exitFailed)
	case missing > 0:
		return exit(exitMissing)
	}
	return nil
}

// follower shows a job until its end, over cuts of the connection.
type follower struct {
	*shell
	client   *client.Client
	job      fleet.Job
	seen     map[fleet.PeelID]bool
	returns  []fleet.Return
	progress *progress
}

// tries is how often in a row a cut stream is taken up again.
const tries = 5

func (f *follower) follow(ctx context.Context) error {
	visit := func(e client.Event) (bool, error) {
		ended, err := f.visit(e)
		return !ended, err
	}
	for failures := 0; ; failures++ {
		before := len(f.seen)
		err := f.client.Events(ctx, "/jobs/"+f.job.JID+"/events", visit)
		if err == nil {
			return nil
		}
		if len(f.seen) > before {
			failures = 0
		}
		if ctx.Err() != nil || !passing(err) || failures >= tries {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(200 * time.Millisecond << failures):
		}
	}
}

// visit shows one event, and reports whether there is nothing more to wait for.
func (f *follower) visit(e client.Event) (ended bool, err error) {
	var job fleet.Job
	switch e.Name {
	case "return":
		var r fleet.Return
		if err = json.Unmarshal(e.Data, &r); err == nil && !f.seen[r.Peel] {
			f.seen[r.Peel] = true
			err = f.arrived(r)
		}
	case "step":
		if err = json.Unmarshal(e.Data, &job); err == nil {
			f.job = job
			ended, err = f.stepped()
		}
	case "done":
		ended = true
		if err = json.Unmarshal(e.Data, &job); err == nil {
			f.job = job
		}
	}
	return ended, err
}

// stepped shows that the job came to another wave or state.
func (f *follower) stepped() (ended bool, err error) {
	if f.format == asNDJSON {
		return f.job.State == fleet.JobPaused, render.NDJSON(f.opts.Out, fleet.JobEvent{Step: &f.job})
	}
	f.progress.clear()
	f.progress.step(f.job)
	switch j := f.job; {
	case j.State == fleet.JobPaused:
		return true, nil
	case j.State == fleet.JobScheduled:
		f.hint("the job begins %s; it does so whether somebody watches or not", f.when(j.Start))
	case j.State == fleet.JobRunning && j.Waves > 1 && j.Wave > 0:
		f.hint("wave %d of %d", j.Wave, j.Waves)
	}
	return false, nil
}

// passing tells the failures that another try may overcome.
func passing(err error) bool {
	return errors.Is(err, client.ErrCut) || errors.Is(err, client.ErrNoServer) || client.Kind(err) == "unavailable"
}

// arrived shows one return, or keeps it for the document at the end.
func (f *follower) arrived(r fleet.Return) error {
	f.progress.clear()
	f.progress.count(r.OK)
	switch f.format {
	case asTable:
		return say(f.opts.Out, formatReturn(f.paint(), f.job.Function, r))
	case asNDJSON:
		return render.NDJSON(f.opts.Out, fleet.JobEvent{Return: &r})
	}
	f.returns = append(f.returns, r)
	return nil
}

func (f *follower) finish() error {
	switch f.format {
	case asTable:
		return f.sayEnd(f.job)
	case asNDJSON:
		if f.job.State == fleet.JobPaused {
			return nil // it was the last step
		}
		return render.NDJSON(f.opts.Out, fleet.JobEvent{Done: &f.job})
	}
	if f.returns == nil {
		f.returns = []fleet.Return{}
	}
	return f.show(wire.JobOut{Job: f.job, Returns: f.returns}, nil)
}

// wrap appends names to a line, separated by commas, and breaks between them.
func wrap(line string, names []string, width int) string {
	var b strings.Builder
	b.WriteString(line)
	at := len(line)
	for i, name := range names {
		if i < len(names)-1 {
			name += ","
		}
		if at+1+len(name) > width {
			b.WriteString("\n ")
			at = 1
		}
		b.WriteString(" " + name)
		at += 1 + len(name)
	}
	return b.String()
}
