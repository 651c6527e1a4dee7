package cli

import (
	"context"
	"crypto/tls"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rind-project/rind/internal/api/wire"
	"github.com/rind-project/rind/internal/cli/render"
	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/store"
)

func (s *shell) tlsCommand() *cobra.Command {
	var f filters
	list := &cobra.Command{
		Use: "list", Short: "List TLS hellos, from new to old",
		Example: "  rind tls list\n  rind tls list --name www.example.com --since 1d",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return s.listTLS(cmd.Context(), &f) },
	}
	f.flags(list, filterFlag{"name", "name", "exactly this server name, or every name below it with a leading *."})
	return group("tls", "TLS hellos that the taps saw", list)
}

func (s *shell) listTLS(ctx context.Context, f *filters) error {
	all, more, err := collect(ctx, f.paging, "before", f.query(), func(ctx context.Context, q url.Values) ([]store.TLS, string, error) {
		var out wire.TLSOut
		err := s.get(ctx, "/tls", q, &out)
		return out.TLS, cursor(out.Next), err
	})
	if err != nil {
		return err
	}
	defer s.hintMore(more, len(all))
	return showList(s, all, func() *render.Table {
		t := &render.Table{
			Columns: render.Columns("TIME", "CLIENT", "SERVER", "SERVER NAME", "VERSION", "ALPN", "TAP"),
			Empty:   noTelemetry("TLS hello"),
		}
		for _, x := range all {
			t.Add(render.Clock(s.opts.Now(), x.Time), endpoint(x.Client, x.SrcPort, network.TCP), endpoint(x.Server, x.DstPort, network.TCP),
				x.SNI, tls.VersionName(x.Version), strings.Join(x.ALPN, " "), string(x.Tap))
		}
		return t
	})
}
