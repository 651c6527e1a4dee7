package cli

import (
	"context"
	"net/url"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/rind-project/rind/internal/api/wire"
	"github.com/rind-project/rind/internal/cli/render"
)

// completionTime bounds what a press of the tab key may wait for a server.
const completionTime = 2 * time.Second

// noFiles ends every completion: nothing here is the name of a file.
const noFiles = cobra.ShellCompDirectiveNoFileComp

// ask gets a path for a completion and is silent when that fails.
func (s *shell) ask(cmd *cobra.Command, path string, query url.Values, out any) {
	ctx := cmd.Context()
	if ctx == nil {
		ctx = context.Background()
	}
	ctx, cancel := context.WithTimeout(ctx, completionTime)
	defer cancel()
	_ = s.get(ctx, path, query, out) // without a server there is nothing to offer
}

func (s *shell) completeRun(cmd *cobra.Command, args []string, prefix string) ([]cobra.Completion, cobra.ShellCompDirective) {
	switch len(args) {
	case 0:
		return s.completePeel(cmd, args, prefix)
	case 1:
		return completeFunction()
	}
	return completeArgument(args[1], args[2:], prefix)
}

func (s *shell) completePeel(cmd *cobra.Command, args []string, prefix string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, noFiles
	}
	var out wire.PeelsOut
	s.ask(cmd, "/peels", url.Values{"match": {prefix + "*"}, "limit": {"100"}}, &out)
	var all []cobra.Completion
	for _, p := range out.Peels {
		all = append(all, cobra.CompletionWithDesc(render.Line(string(p.ID)), render.Line(string(p.Presence)+" "+p.OS)))
	}
	return all, noFiles
}

func (s *shell) completePending(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, noFiles
	}
	var out wire.EnrollmentsOut
	s.ask(cmd, "/enrollments", url.Values{"state": {"pending"}, "limit": {"100"}}, &out)
	var all []cobra.Completion
	for _, e := range out.Enrollments {
		all = append(all, cobra.CompletionWithDesc(render.Line(string(e.ID)), render.Line(e.Hostname+" "+e.Fingerprint)))
	}
	return all, noFiles
}

func (s *shell) completeJob(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, noFiles
	}
	var out wire.JobsOut
	s.ask(cmd, "/jobs", url.Values{"limit": {"20"}}, &out)
	var all []cobra.Completion
	for _, j := range out.Jobs {
		all = append(all, cobra.CompletionWithDesc(render.Line(j.JID), render.Line(j.Target+" "+j.Function)))
	}
	return all, noFiles
}

func (s *shell) completeTap(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, noFiles
	}
	var out wire.TapsOut
	s.ask(cmd, "/taps", url.Values{"limit": {strconv.Itoa(maxPage)}}, &out)
	var all []cobra.Completion
	for _, t := range out.Taps {
		all = append(all, render.Line(string(t.Name)))
	}
	return all, noFiles
}

func (s *shell) completeRole(cmd *cobra.Command) {
	_ = cmd.RegisterFlagCompletionFunc("role", cobra.FixedCompletions([]string{"viewer", "operator", "admin"}, noFiles))
}
