package cli

import (
	"time"

	"net/url"

	"github.com/spf13/cobra"

	"github.com/rind-project/rind/internal/api/wire"
	"github.com/rind-project/rind/internal/cli/render"
)

func (s *shell) tokenCommand() *cobra.Command {
	list := &cobra.Command{
		Use: "list", Short: "List API tokens: your own, everybody's for an administrator",
		Example: "  rind token list", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var out wire.TokensOut
			if err := s.get(cmd.Context(), "/tokens", nil, &out); err != nil {
				return err
			}
			return showList(s, out.Tokens, func() *render.Table {
				t := &render.Table{Columns: render.Columns("ID", "NAME", "ROLE", "OWNER", "CREATED", "USED", "EXPIRES"), Empty: "no token here; make one with: rind token create NAME"}
				for _, x := range out.Tokens {
					t.Add(x.ID, x.Name, x.Role.String(), x.Owner, s.ago(x.Created), s.ago(x.Used), s.ago(x.Expires))
				}
				return t
			})
		},
	}
	revoke := &cobra.Command{
		Use: "revoke ID", Short: "Revoke an API token",
		Example: "  rind token revoke 0123456789abcdef", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := s.delete(cmd.Context(), "/tokens/"+url.PathEscape(args[0])); err != nil {
				return err
			}
			return s.done("the token %s is revoked", args[0])
		},
	}
	return group("token", "API tokens for programs, and for `rind login`", list, s.tokenCreateCommand(), revoke)
}

func (s *shell) tokenCreateCommand() *cobra.Command {
	var in wire.TokenIn
	var ttl time.Duration
	cmd := &cobra.Command{
		Use: "create NAME", Aliases: []string{"add"}, Short: "Make an API token for yourself; it is shown this once",
		Example: "  rind token create backup --role viewer --ttl 720h",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			in.Name, in.TTL = args[0], wire.Span(ttl)
			var out wire.TokenOut
			if err := s.post(cmd.Context(), "/tokens", in, &out); err != nil {
				return err
			}
			if s.format != asTable {
				return s.show(out, nil)
			}
			s.hint("this is shown once; use it as: Authorization: Bearer TOKEN, or with `rind login https://HOST:8443 --token-stdin`")
			return say(s.opts.Out, render.Line(out.Token))
		},
	}
	cmd.Flags().StringVar(&in.Role, "role", "", "viewer, operator or admin, at most your own (your own without it)")
	cmd.Flags().DurationVar(&ttl, "ttl", 0, "life of the token (the server's default without it)")
	s.completeRole(cmd)
	return cmd
}
