package cli

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rind-project/rind/internal/api/wire"
	"github.com/rind-project/rind/internal/cli/render"
	"github.com/rind-project/rind/internal/fleet"
)

func (s *shell) jobCommand() *cobra.Command {
	var limit int
	list := &cobra.Command{
		Use: "list", Short: "List the latest jobs",
		Example: "  rind job list\n  rind job list --limit 200 -o json",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return s.listJobs(cmd.Context(), limit) },
	}
	list.Flags().IntVar(&limit, "limit", 20, "show at most this many, up to 1000")
	show := &cobra.Command{
		Use: "show JID", Short: "Show a job and what was returned",
		Long:              "Show a job and what was returned. The exit code is that of `rind run`.",
		Example:           "  rind job show 01980c6e-5f7e-7c1a-9d51-0d5f3f2f6a11",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: s.completeJob,
		RunE:              func(cmd *cobra.Command, args []string) error { return s.showJob(cmd.Context(), args[0]) },
	}
	watch := &cobra.Command{
		Use: "watch JID", Short: "Follow a job: what was returned so far, then what comes",
		Long:              "Follow a job to its end, or until it waits for somebody. The exit code is that of `rind run`.",
		Example:           "  rind job watch 01980c6e-5f7e-7c1a-9d51-0d5f3f2f6a11",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: s.completeJob,
		RunE:              func(cmd *cobra.Command, args []string) error { return s.watchJob(cmd.Context(), args[0]) },
	}
	return group("job", "Jobs", list, show, watch, s.controlCommand("cancel", "End a job: nobody else gets it, and it is ended where it runs"),
		s.controlCommand("pause", "Give a job to nobody else until it is resumed"), s.controlCommand("resume", "Go on with a job that is paused"), s.retryCommand())
}

// controlCommand does something to a job that goes on.
func (s *shell) controlCommand(verb, short string) *cobra.Command {
	return &cobra.Command{
		Use: verb + " JID", Short: short,
		Example:           "  rind job " + verb + " 01980c6e-5f7e-7c1a-9d51-0d5f3f2f6a11",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: s.completeJob,
		RunE: func(cmd *cobra.Command, args []string) error {
			var j fleet.Job
			if err := s.post(cmd.Context(), "/jobs/"+url.PathEscape(args[0])+"/"+verb, nil, &j); err != nil {
				return err
			}
			if s.format != asTable {
				return s.show(j, nil)
			}
			if line := s.fate(j); line != "" {
				return say(s.opts.Out, line)
			}
			return s.done("the job is %s", j.State)
		},
	}
}

func (s *shell) retryCommand() *cobra.Command {
	var async bool
	cmd := &cobra.Command{
		Use: "retry JID", Short: "Run a job again on the hosts that failed, did not answer or did not get it",
		Long:              "Run a job again, with the rollout that it had, on the hosts that failed, did not answer or did not get it.",
		Example:           "  rind job retry 01980c6e-5f7e-7c1a-9d51-0d5f3f2f6a11",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: s.completeJob,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.client(cmd.Context())
			if err != nil {
				return err
			}
			var j fleet.Job
			if err := c.Post(cmd.Context(), "/jobs/"+url.PathEscape(args[0])+"/retry", nil, &j); err != nil {
				return err
			}
			if async {
				return say(s.opts.Out, j.JID)
			}
			return s.followJob(cmd.Context(), c, j)
		},
	}
	cmd.Flags().BoolVar(&async, "async", false, "do not wait: print the new job's id")
	return cmd
}

func (s *shell) watchJob(ctx context.Context, jid string) error {
	c, err := s.client(ctx)
	if err != nil {
		return err
	}
	var out wire.JobOut
	if err := c.Get(ctx, "/jobs/"+url.PathEscape(jid), nil, &out); err != nil {
		return err
	}
	return s.followJob(ctx, c, out.Job)
}

func (s *shell) listJobs(ctx context.Context, limit int) error {
	var out wire.JobsOut
	if err := s.get(ctx, "/jobs", url.Values{"limit": {strconv.Itoa(limit)}}, &out); err != nil {
		return err
	}
	return showList(s, out.Jobs, func() *render.Table {
		t := &render.Table{
			Columns: render.Columns("JID", "STARTED", "BY", "STATE", "TARGET", "FUNCTION", ">TARGETED", ">ANSWERED", ">FAILED", ">MISSING"),
			Empty:   "no job was run yet; try: rind '*' test.ping",
		}
		for _, j := range out.Jobs {
			n := j.Summary
			t.Add(j.JID, s.ago(j.Created), j.By, state(j), j.Target, clip(strings.Join(append([]string{j.Function}, j.Args...), " "), 40),
				strconv.Itoa(n.Targeted), strconv.Itoa(n.Answered), strconv.Itoa(n.Failed), strconv.Itoa(n.Missing))
		}
		return t
	})
}

func (s *shell) showJob(ctx context.Context, jid string) error {
	var out wire.JobOut
	if err := s.get(ctx, "/jobs/"+url.PathEscape(jid), nil, &out); err != nil {
		return err
	}
	if s.format != asTable {
		if err := s.show(out, nil); err != nil {
			return err
		}
		return outcome(out.Job)
	}
	if err := s.writeJob(out); err != nil {
		return err
	}
	if out.Job.State == fleet.JobRunning {
		s.hint("the job still runs; missing hosts may answer yet")
	}
	return outcome(out.Job)
}

func (s *shell) writeJob(out wire.JobOut) error {
	j := out.Job
	head := "job " + j.JID + ": " + strings.Join(append([]string{j.Target, j.Function}, j.Args...), " ") + ", by " + j.By + ", " + s.ago(j.Created)
	if j.RetryOf != "" {
		head += ", again for those of " + j.RetryOf + " that failed or are missing"
	}
	if err := say(s.opts.Out, s.paint().Dim(render.Line(head))); err != nil {
		return err
	}
	for _, r := range out.Returns {
		if err := say(s.opts.Out, formatReturn(s.paint(), j.Function, r)); err != nil {
			return err
		}
	}
	return s.sayEnd(j)
}

// state is how far a job is, in a word or two.
func state(j fleet.Job) string {
	if j.Waves > 1 && j.Wave > 0 && !j.State.Ended() {
		return fmt.Sprintf("%s %d/%d", j.State, j.Wave, j.Waves)
	}
	return string(j.State)
}

// clip shortens a text for a cell of a table.
func clip(text string, longest int) string {
	runes := []rune(text)
	if len(runes) <= longest {
		return text
	}
	return string(runes[:longest-1]) + "…"
}
