package cli

import (
	"context"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"github.com/rind-project/rind/internal/api/wire"
	"github.com/rind-project/rind/internal/cli/render"
	"github.com/rind-project/rind/internal/fleet/enroll"
)

func (s *shell) enrollCommand() *cobra.Command {
	return group("enroll", "Enrollment of hosts", s.enrollTokenCommand(), s.enrollListCommand(),
		s.enrollShowCommand(), s.approveCommand(), s.decideCommand("reject", "Reject an enrollment for good"),
		s.decideCommand("revoke", "End a peel's enrollment: it is disconnected at once and cannot return"))
}

func (s *shell) enrollTokenCommand() *cobra.Command {
	var ttl time.Duration
	var in wire.EnrollTokenIn
	cmd := &cobra.Command{
		Use: "token", Short: "Make a token for one host, and print the command to type there",
		Example: "  rind enroll token\n  rind enroll token --ttl 15m --auto-approve",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			in.TTL = wire.Span(ttl)
			return s.makeEnrollToken(cmd.Context(), in)
		},
	}
	cmd.Flags().DurationVar(&ttl, "ttl", 0, "life of the token (an hour without it)")
	cmd.Flags().BoolVar(&in.AutoApprove, "auto-approve", false, "approve the host without asking, if its id is free")
	return cmd
}

func (s *shell) makeEnrollToken(ctx context.Context, in wire.EnrollTokenIn) error {
	var out wire.EnrollTokenOut
	if err := s.post(ctx, "/enroll-tokens", in, &out); err != nil {
		return err
	}
	if s.format != asTable {
		return s.show(out, nil)
	}
	after := "then: rind enroll list, rind enroll approve ID"
	if in.AutoApprove {
		after = "the host is approved by itself"
	}
	s.hint("type this on the host, once, before %s (%s); %s", out.Expires.UTC().Format("2006-01-02 15:04 MST"), s.ago(out.Expires), after)
	return say(s.opts.Out, render.Line(out.Join))
}

func (s *shell) enrollListCommand() *cobra.Command {
	var p paging
	var state string
	cmd := &cobra.Command{
		Use: "list", Short: "List enrollments",
		Example: "  rind enroll list --state pending",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return s.listEnrollments(cmd.Context(), p, state)
		},
	}
	p.flags(cmd, 1000)
	cmd.Flags().StringVar(&state, "state", "", "only those in this state: pending, approved, suspended, rejected or revoked")
	_ = cmd.RegisterFlagCompletionFunc("state", cobra.FixedCompletions([]string{"pending", "approved", "suspended", "rejected", "revoked"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func (s *shell) listEnrollments(ctx context.Context, p paging, state string) error {
	query := url.Values{}
	set(query, "state", state)
	all, more, err := collect(ctx, p, "after", query, func(ctx context.Context, q url.Values) ([]enroll.Record, string, error) {
		var out wire.EnrollmentsOut
		err := s.get(ctx, "/enrollments", q, &out)
		return out.Enrollments, out.Next, err
	})
	if err != nil {
		return err
	}
	defer s.hintMore(more, len(all))
	return showList(s, all, func() *render.Table {
		t := &render.Table{
			Columns: render.Columns("ID", "STATE", "ASKED", "HOST NAME", "ADDRESS", "FINGERPRINT", "NOTE"),
			Empty:   "no enrollment here; `rind enroll token` prints the command that enrolls a host",
		}
		for _, e := range all {
			note := s.suspensionNote(e.Suspension)
			if e.Replaces && e.State == enroll.Pending {
				note = "the id is another key's: approve with --replace"
			}
			t.Add(string(e.ID), string(e.State), s.ago(e.Created), e.Hostname, e.Address, e.Fingerprint, note)
		}
		return t
	})
}

func (s *shell) enrollShowCommand() *cobra.Command {
	return &cobra.Command{
		Use: "show ID", Short: "Show an enrollment",
		Example: "  rind enroll show web-01",
		Args:    cobra.ExactArgs(1), ValidArgsFunction: s.completePeel,
		RunE: func(cmd *cobra.Command, args []string) error {
			var e enroll.Record
			if err := s.get(cmd.Context(), "/enrollments/"+url.PathEscape(args[0]), nil, &e); err != nil {
				return err
			}
			about := []string{"id", string(e.ID), "state", string(e.State), "fingerprint", e.Fingerprint,
				"public key", e.PublicKey, "host name", e.Hostname, "address", e.Address, "version", e.Version,
				"asked", s.ago(e.Created), "decided", s.ago(e.Decided), "by", e.By, "token", e.TokenID}
			return s.show(e, fields(append(about, s.suspensionFields(e.Suspension)...)...))
		},
	}
}

func (s *shell) approveCommand() *cobra.Command {
	var in wire.ApproveIn
	cmd := &cobra.Command{
		Use: "approve ID", Short: "Approve an enrollment, or let back a peel that was cut off",
		Example: "  rind enroll approve web-01\n  rind enroll approve web-01 --replace",
		Args:    cobra.ExactArgs(1), ValidArgsFunction: s.completePending,
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.decide(cmd.Context(), "approve", args[0], in)
		},
	}
	cmd.Flags().BoolVar(&in.Replace, "replace", false, "take the id away from the key that has it, and purge what belongs to it")
	return cmd
}

func (s *shell) decideCommand(verb, short string) *cobra.Command {
	return &cobra.Command{
		Use: verb + " ID", Short: short,
		Example: "  rind enroll " + verb + " web-01",
		Args:    cobra.ExactArgs(1), ValidArgsFunction: s.completePeel,
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.decide(cmd.Context(), verb, args[0], nil)
		},
	}
}

func (s *shell) decide(ctx context.Context, verb, id string, in any) error {
	var e enroll.Record
	if err := s.post(ctx, "/enrollments/"+url.PathEscape(id)+"/"+verb, in, &e); err != nil {
		return err
	}
	if s.format != asTable {
		return s.show(e, nil)
	}
	return s.done("%s is %s (%s)", e.ID, e.State, e.Fingerprint)
}
