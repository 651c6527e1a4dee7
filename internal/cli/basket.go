package cli

import (
	"context"
	"fmt"
	"net/url"

	"github.com/spf13/cobra"

	"github.com/rind-project/rind/internal/api/wire"
	"github.com/rind-project/rind/internal/cli/render"
	"github.com/rind-project/rind/internal/fleet"
)

func (s *shell) basketCommand() *cobra.Command {
	var p paging
	var name string
	var kinds kindFlags
	list := &cobra.Command{
		Use: "list [TARGET]", Short: "List what hosts share with one another",
		Example:           "  rind basket list\n  rind basket list 'db-*' --name addr\n  rind basket list -G os:Debian --all -o ndjson",
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: s.completePeel,
		RunE: func(cmd *cobra.Command, args []string) error {
			expr := ""
			if len(args) > 0 {
				expr = kinds.expression(args[0])
			} else if kinds.chosen != 0 {
				return fmt.Errorf("-%c says of which kind the target is, and there is none", kinds.chosen)
			}
			return s.listBasket(cmd.Context(), p, expr, name)
		},
	}
	p.flags(list, 100)
	kinds.flags(list)
	list.Flags().StringVar(&name, "name", "", "only values with this name")
	return group("basket", "What hosts share with one another", list, s.basketGetCommand())
}

func (s *shell) basketGetCommand() *cobra.Command {
	var p paging
	var kinds kindFlags
	get := &cobra.Command{
		Use: "get TARGET KEY", Short: "Show what hosts share under a name",
		Long: "Show what the hosts of TARGET share under the name KEY. Hosts that share nothing there are left out.\n" +
			"People see every value; what a host may read of others say basket.rules of the server.",
		Example:           "  rind basket get 'db-*' addr\n  rind basket get '*' version -o json",
		Args:              cobra.ExactArgs(2),
		ValidArgsFunction: s.completeBasket,
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.getBasket(cmd.Context(), p, kinds.expression(args[0]), args[1])
		},
	}
	p.flags(get, 1000)
	kinds.flags(get)
	return get
}

func (s *shell) basketItems(ctx context.Context, p paging, path string, q url.Values) ([]fleet.BasketItem, bool, error) {
	return collect(ctx, p, "after", q, func(ctx context.Context, q url.Values) ([]fleet.BasketItem, string, error) {
		var out wire.BasketOut
		err := s.get(ctx, path, q, &out)
		return out.Items, out.Next, err
	})
}

func (s *shell) listBasket(ctx context.Context, p paging, expr, name string) error {
	q := url.Values{}
	set(q, "target", expr)
	set(q, "name", name)
	all, more, err := s.basketItems(ctx, p, "/basket", q)
	if err != nil {
		return pointed(err, expr)
	}
	defer s.hintMore(more, len(all))
	return showList(s, all, func() *render.Table {
		t := &render.Table{Columns: render.Columns("PEEL", "NAME", ">SIZE", "UPDATED", "SOURCE"), Empty: "nothing is shared"}
		for _, it := range all {
			source := "by hand"
			if it.Configured {
				source = "configured"
			}
			t.Add(string(it.Peel), it.Name, render.Bytes(it.Size), s.ago(it.Updated), source)
		}
		return t
	})
}

func (s *shell) getBasket(ctx context.Context, p paging, expr, name string) error {
	all, more, err := s.basketItems(ctx, p, "/basket/"+url.PathEscape(name), url.Values{"target": {expr}})
	if err != nil {
		return pointed(err, expr)
	}
	defer s.hintMore(more, len(all))
	if s.format != asTable {
		return showList(s, all, nil)
	}
	for _, it := range all {
		shown := fleet.Return{Peel: it.Peel, OK: true, Value: it.Value}
		if err := say(s.opts.Out, formatReturn(s.paint(), "basket.get", shown)); err != nil {
			return err
		}
	}
	if len(all) == 0 {
		return say(s.opts.Out, "nobody of the target shares "+render.Line(name))
	}
	return nil
}

// completeBasket offers hosts, and then the names that the chosen ones share.
func (s *shell) completeBasket(cmd *cobra.Command, args []string, prefix string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) != 1 {
		return s.completePeel(cmd, args, prefix)
	}
	var out wire.BasketOut
	s.ask(cmd, "/basket", url.Values{"target": {args[0]}, "limit": {"100"}}, &out)
	seen := map[string]bool{}
	var all []cobra.Completion
	for _, it := range out.Items {
		if !seen[it.Name] {
			seen[it.Name] = true
			all = append(all, render.Line(it.Name))
		}
	}
	return all, noFiles
}
