package cli

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/rind-project/rind/internal/api/wire"
	"github.com/rind-project/rind/internal/cli/render"
	"github.com/rind-project/rind/internal/network/ingest"
)

func (s *shell) tapCommand() *cobra.Command {
	var ttl time.Duration
	var tenant string
	add := &cobra.Command{
		Use: "add NAME", Short: "Add a tap, and print the command to type on its machine",
		Example: "  rind tap add office\n  rind tap add dmz --ttl 2160h\n  rind tap add shop --tenant acme",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.joinTap(cmd.Context(), "/taps", wire.TapIn{Name: args[0], TTL: wire.Span(ttl), Tenant: tenant})
		},
	}
	add.Flags().StringVar(&tenant, "tenant", "", "whose it is, which decides how long its rows are kept (default without it)")
	add.Flags().DurationVar(&ttl, "ttl", 0, "life of the tap's token (it does not end without it)")
	var p paging
	var of string
	list := &cobra.Command{
		Use: "list", Short: "List taps with their health and their loss",
		Example: "  rind tap list\n  rind tap list --tenant acme\n  rind tap list --all -o json",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return s.listTaps(cmd.Context(), p, of) },
	}
	p.flags(list, 1000)
	list.Flags().StringVar(&of, "tenant", "", "only the taps of this tenant")
	revoke := &cobra.Command{
		Use: "revoke NAME", Short: "Revoke a tap's token; what it reported stays",
		Example: "  rind tap revoke office",
		Args:    cobra.ExactArgs(1), ValidArgsFunction: s.completeTap,
		RunE: func(cmd *cobra.Command, args []string) error {
			err := s.delete(cmd.Context(), "/taps/"+url.PathEscape(args[0]))
			if err != nil {
				return err
			}
			return s.done("the tap %s is revoked", args[0])
		},
	}
	return group("tap", "Taps", add, list, s.tapRotateCommand(), s.tapTenantCommand(), revoke)
}

func (s *shell) tapTenantCommand() *cobra.Command {
	return &cobra.Command{
		Use: "tenant NAME TENANT", Short: "Give a tap, and what it reported, to a tenant",
		Long:    "Give a tap, and what it reported, to a tenant. How long its rows are kept goes by the\ntenant, see node.retention.tenants in the configuration; `rind storage` shows it.",
		Example: "  rind tap tenant office acme",
		Args:    cobra.ExactArgs(2), ValidArgsFunction: s.completeTap,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.client(cmd.Context())
			if err == nil {
				err = c.Send(cmd.Context(), http.MethodPut, "/taps/"+url.PathEscape(args[0])+"/tenant", wire.TapTenantIn{Tenant: args[1]}, nil)
			}
			if err != nil {
				return err
			}
			return s.done("the tap %s is of the tenant %s", args[0], args[1])
		},
	}
}

func (s *shell) tapRotateCommand() *cobra.Command {
	var ttl time.Duration
	cmd := &cobra.Command{
		Use: "rotate NAME", Short: "Give a tap a new token; the old one is refused at once",
		Example: "  rind tap rotate office",
		Args:    cobra.ExactArgs(1), ValidArgsFunction: s.completeTap,
		RunE: func(cmd *cobra.Command, args []string) error {
			in := wire.TapRotateIn{TTL: wire.Span(ttl)}
			return s.joinTap(cmd.Context(), "/taps/"+url.PathEscape(args[0])+"/rotate", in)
		},
	}
	cmd.Flags().DurationVar(&ttl, "ttl", 0, "life of the tap's token (it does not end without it)")
	return cmd
}

// joinTap asks for a tap's token and shows the command that takes it there.
func (s *shell) joinTap(ctx context.Context, path string, in any) error {
	var out wire.TapOut
	if err := s.post(ctx, path, in, &out); err != nil {
		return err
	}
	if s.format != asTable {
		return s.show(out, nil)
	}
	s.hint("type this on the machine of the tap %s; the token is not shown again", render.Line(out.Name))
	return say(s.opts.Out, render.Line(out.Join))
}

func (s *shell) listTaps(ctx context.Context, p paging, tenant string) error {
	filter := url.Values{}
	if tenant != "" {
		filter.Set("tenant", tenant)
	}
	all, more, err := collect(ctx, p, "after", filter, func(ctx context.Context, q url.Values) ([]ingest.TapInfo, string, error) {
		var out wire.TapsOut
		err := s.get(ctx, "/taps", q, &out)
		return out.Taps, out.Next, err
	})
	if err != nil {
		return err
	}
	defer s.hintMore(more, len(all))
	return showList(s, all, func() *render.Table {
		t := &render.Table{
			Columns: render.Columns("NAME", "TENANT", "STATE", "LAST REPORT", ">REPORTS", ">PACKETS 24H", ">DROPPED", ">LOSS", ">SPOOLED", ">MEMORY", "VERSION"),
			Empty:   "no tap here; `rind tap add NAME` prints the command that joins one",
		}
		for _, x := range all {
			t.Add(string(x.Name), x.Tenant, tapState(s.opts.Now(), x), s.moment(x.LastReport), strconv.FormatInt(x.Reports, 10),
				strconv.FormatInt(x.Loss.Received, 10), strconv.FormatInt(x.Loss.DroppedKernel+x.Loss.DroppedPipeline, 10),
				fmt.Sprintf("%.3f %%", x.LossPercent), strconv.FormatUint(x.Health.SpoolReports, 10),
				render.Bytes(x.Health.MemoryBytes), x.Health.Version)
		}
		return t
	})
}

// quietAfter is when a tap that sends a report each 10 s counts as silent.
const quietAfter = time.Minute

func tapState(now time.Time, x ingest.TapInfo) string {
	switch {
	case x.Revoked != nil:
		return "revoked"
	case x.Expires != nil && !now.Before(*x.Expires):
		return "expired"
	case x.LastReport == nil:
		return "never reported"
	case now.Sub(*x.LastReport) > quietAfter:
		return "silent"
	case x.Shared != nil:
		return "shared token"
	}
	return "reporting"
}

func (s *shell) moment(t *time.Time) string {
	if t == nil {
		return "-"
	}
	return s.ago(*t)
}

// delete asks for a removal.
func (s *shell) delete(ctx context.Context, path string) error {
	c, err := s.client(ctx)
	if err != nil {
		return err
	}
	return c.Delete(ctx, path)
}
