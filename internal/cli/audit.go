package cli

import (
	"context"
	"net/url"

	"github.com/spf13/cobra"

	"github.com/rind-project/rind/internal/access"
	"github.com/rind-project/rind/internal/api/wire"
	"github.com/rind-project/rind/internal/cli/render"
)

func (s *shell) auditCommand() *cobra.Command {
	var p paging
	list := &cobra.Command{
		Use: "list", Short: "List who did what to what, from new to old",
		Example: "  rind audit list\n  rind audit list --all -o ndjson",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return s.listAudit(cmd.Context(), p) },
	}
	p.flags(list, 100)
	return group("audit", "The audit trail", list)
}

func (s *shell) listAudit(ctx context.Context, p paging) error {
	all, more, err := collect(ctx, p, "before", url.Values{}, func(ctx context.Context, q url.Values) ([]access.Entry, string, error) {
		var out wire.AuditOut
		err := s.get(ctx, "/audit", q, &out)
		return out.Entries, out.Next, err
	})
	if err != nil {
		return err
	}
	defer s.hintMore(more, len(all))
	return showList(s, all, func() *render.Table {
		t := &render.Table{Columns: render.Columns("TIME", "BY", "VIA", "ACTION", "OBJECT", "OK", "ADDRESS", "DETAIL"), Empty: "nothing was done yet"}
		for _, e := range all {
			ok, addr := "yes", ""
			if !e.OK {
				ok = "no"
			}
			if e.Addr.IsValid() {
				addr = e.Addr.String()
			}
			t.Add(render.Clock(s.opts.Now(), e.At), e.By, e.Via, e.Action, e.Object, ok, addr, clip(e.Detail, 80))
		}
		return t
	})
}
