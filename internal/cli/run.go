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
	var timeout time.Duration
	var kinds kindFlags
	cmd := &cobra.Command{
		Use:   "run TARGET FUNCTION [ARG…]",
		Short: "Run a function on hosts, and show what they return as it arrives",
		Long: "Run a function on the hosts that TARGET matches, and show what they return as it arrives.\n\n" +
			"The word run may be left out. Exit codes: 0 all answered and none failed, 1 it could not be asked,\n" +
			"2 some failed, 3 some did not answer, 4 both.",
		Example: "  rind run '*' test.ping\n" +
			"  rind 'web-*' facts.get mem.total\n" +
			"  rind run web-01 cmd.run 'df -h /'\n" +
			"  rind 'web-* and G@os:Debian and not S@10.2.0.0/16' test.ping\n" +
			"  rind -G 'mem.total>8GB' test.ping\n" +
			"  rind run --timeout 2m -o json 'db-*' cmd.run 'apt-get -q update'",
		Args:              cobra.MinimumNArgs(2),
		ValidArgsFunction: s.completeRun,
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.run(cmd.Context(), wire.JobIn{Target: kinds.expression(args[0]), Function: args[1], Args: args[2:], Timeout: wire.Span(timeout)})
		},
	}
	cmd.Flags().DurationVar(&timeout, "timeout", 0, "how long to wait for answers, such as 30s (the server's default without it)")
	kinds.flags(cmd)
	return cmd
}

func (s *shell) run(ctx context.Context, in wire.JobIn) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	c, err := s.client(ctx)
	if err != nil {
		return err
	}
	var job fleet.Job
	if err := c.Post(ctx, "/jobs", in, &job); err != nil {
		return pointed(err, in.Target)
	}
	f := &follower{shell: s, client: c, job: job, seen: map[fleet.PeelID]bool{}}
	err = f.follow(ctx)
	if errors.Is(err, context.Canceled) {
		err = errors.New("interrupted")
	}
	if err != nil {
		return fmt.Errorf("%w; the job goes on, see: rind job show %s", err, job.JID)
	}
	if err := f.finish(); err != nil {
		return err
	}
	return outcome(f.job.Summary)
}

// outcome is the exit code of a job's end, as an error.
func outcome(sum fleet.Summary) error {
	switch failed, missing := sum.Failed > 0, sum.Missing > 0; {
	case failed && missing:
		return exit(exitBoth)
	case failed:
		return exit(exitFailed)
	case missing:
		return exit(exitMissing)
	}
	return nil
}

// follower shows a job until its end, over cuts of the connection.
type follower struct {
	*shell
	client  *client.Client
	job     fleet.Job
	seen    map[fleet.PeelID]bool
	returns []fleet.Return
}

// tries is how often in a row a cut stream is taken up again.
const tries = 5

func (f *follower) follow(ctx context.Context) error {
	ended := false
	visit := func(e client.Event) (bool, error) {
		var err error
		switch e.Name {
		case "return":
			var r fleet.Return
			if err = json.Unmarshal(e.Data, &r); err == nil && !f.seen[r.Peel] {
				f.seen[r.Peel] = true
				err = f.arrived(r)
			}
		case "done":
			ended = true
			var job fleet.Job
			if err = json.Unmarshal(e.Data, &job); err == nil {
				f.job = job
			}
		}
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

// passing tells the failures that another try may overcome.
func passing(err error) bool {
	return errors.Is(err, client.ErrCut) || errors.Is(err, client.ErrNoServer) || client.Kind(err) == "unavailable"
}

// arrived shows one return, or keeps it for the document at the end.
func (f *follower) arrived(r fleet.Return) error {
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
		return say(f.opts.Out, f.summary(f.job.Summary))
	case asNDJSON:
		return render.NDJSON(f.opts.Out, fleet.JobEvent{Done: &f.job})
	}
	if f.returns == nil {
		f.returns = []fleet.Return{}
	}
	return f.show(wire.JobOut{Job: f.job, Returns: f.returns}, nil)
}

// summary is the last line of a job: exact numbers, and every missing peel.
func (s *shell) summary(sum fleet.Summary) string {
	line := fmt.Sprintf("%d targeted, %d answered, %d failed, %d missing", sum.Targeted, sum.Answered, sum.Failed, sum.Missing)
	if len(sum.MissingPeels) == 0 {
		return line
	}
	names := make([]string, len(sum.MissingPeels))
	for i, id := range sum.MissingPeels {
		names[i] = render.Line(string(id))
	}
	return wrap(line+":", names, s.width())
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
