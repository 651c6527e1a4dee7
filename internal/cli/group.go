package cli

import (
	"net/http"
	"net/url"

	"github.com/spf13/cobra"

	"github.com/rind-project/rind/internal/api/wire"
	"github.com/rind-project/rind/internal/cli/render"
	"github.com/rind-project/rind/internal/fleet"
)

func (s *shell) groupCommand() *cobra.Command {
	return group("group", "Named groups of hosts, which N@NAME stands for in a target",
		s.groupListCommand(), s.groupSetCommand(), s.groupShowCommand(), s.groupDeleteCommand())
}

func (s *shell) groupListCommand() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the groups", Example: "  rind group list", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var out wire.GroupsOut
			if err := s.get(cmd.Context(), "/groups", nil, &out); err != nil {
				return err
			}
			return showList(s, out.Groups, func() *render.Table {
				t := &render.Table{Columns: render.Columns("NAME", "TARGET", "CHANGED", "BY"), Empty: "no group here; make one with: rind group set NAME TARGET"}
				for _, g := range out.Groups {
					t.Add(g.Name, g.Target, s.ago(g.Changed), g.By)
				}
				return t
			})
		},
	}
}

func (s *shell) groupSetCommand() *cobra.Command {
	return &cobra.Command{
		Use: "set NAME TARGET", Aliases: []string{"add"}, Short: "Make a group, or change what it stands for",
		Long: "Make a group, or change what it stands for. TARGET may name other groups; N@NAME then means\n" +
			"these hosts wherever a target is written, from the next question on.",
		Example: "  rind group set web 'web-* and G@os:Debian'\n" +
			"  rind group set edge 'N@web and S@10.2.0.0/16'",
		Args: cobra.ExactArgs(2), ValidArgsFunction: s.completeGroup,
		RunE: func(cmd *cobra.Command, args []string) error {
			expr := args[1]
			c, err := s.client(cmd.Context())
			if err != nil {
				return err
			}
			var out fleet.Group
			if err := c.Send(cmd.Context(), http.MethodPut, "/groups/"+url.PathEscape(args[0]), wire.GroupIn{Target: expr}, &out); err != nil {
				return pointed(err, expr)
			}
			if s.format != asTable {
				return s.show(out, nil)
			}
			return s.done("N@%s stands for: %s", out.Name, out.Target)
		},
	}
}

func (s *shell) groupShowCommand() *cobra.Command {
	return &cobra.Command{
		Use: "show NAME", Short: "Show what a group stands for", Example: "  rind group show web",
		Args: cobra.ExactArgs(1), ValidArgsFunction: s.completeGroup,
		RunE: func(cmd *cobra.Command, args []string) error {
			var g fleet.Group
			if err := s.get(cmd.Context(), "/groups/"+url.PathEscape(args[0]), nil, &g); err != nil {
				return err
			}
			if s.format == asTable {
				defer s.hint("rind target test N@%s shows whom it means now", render.Line(g.Name))
			}
			return s.show(g, fields("name", g.Name, "target", g.Target, "changed", s.ago(g.Changed), "by", g.By))
		},
	}
}

func (s *shell) groupDeleteCommand() *cobra.Command {
	return &cobra.Command{
		Use: "delete NAME", Short: "Delete a group that nothing else names", Example: "  rind group delete web",
		Args: cobra.ExactArgs(1), ValidArgsFunction: s.completeGroup,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := s.delete(cmd.Context(), "/groups/"+url.PathEscape(args[0])); err != nil {
				return err
			}
			return s.done("the group %s is deleted", args[0])
		},
	}
}

func (s *shell) completeGroup(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, noFiles
	}
	var out wire.GroupsOut
	s.ask(cmd, "/groups", nil, &out)
	var all []cobra.Completion
	for _, g := range out.Groups {
		all = append(all, cobra.CompletionWithDesc(render.Line(g.Name), render.Line(g.Target)))
	}
	return all, noFiles
}
