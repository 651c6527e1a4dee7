package cli

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/rind-project/rind/internal/api/wire"
	"github.com/rind-project/rind/internal/cli/render"
)

func (s *shell) serverTokenCommand() *cobra.Command {
	var ttl time.Duration
	var in wire.ServerTokenIn
	cmd := &cobra.Command{
		Use: "token", Short: "Make a token for one further server, and print the command to type there",
		Long: "Make a token with which one further server may join the fleet, and print the command to type\n" +
			"there. It is given the fleet's keys: show the command to nobody, and use it soon.",
		Example: "  rind server token\n  rind server token --role bus --ttl 5m",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			in.TTL = wire.Span(ttl)
			return s.makeServerToken(cmd.Context(), in)
		},
	}
	cmd.Flags().DurationVar(&ttl, "ttl", 0, "life of the token (15 minutes without it)")
	cmd.Flags().StringSliceVar(&in.Roles, "role", nil, "what the server will be: bus, master, node (all three without it)")
	return cmd
}

func (s *shell) makeServerToken(ctx context.Context, in wire.ServerTokenIn) error {
	var out wire.ServerTokenOut
	if err := s.post(ctx, "/servers/tokens", in, &out); err != nil {
		return err
	}
	if s.format != asTable {
		return s.show(out, nil)
	}
	s.hint("type this on the new server, once, before %s (%s); then start it with: rind server", out.Expires.UTC().Format("2006-01-02 15:04 MST"), s.ago(out.Expires))
	return say(s.opts.Out, render.Line(out.Join))
}
