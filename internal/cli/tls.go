package cli

import (
	"cmp"
	"context"
	"crypto/tls"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rind-project/rind/internal/api/wire"
	"github.com/rind-project/rind/internal/cli/render"
	"github.com/rind-project/rind/internal/network/store"
)

func (s *shell) tlsCommand() *cobra.Command {
	var f filters
	list := &cobra.Command{
		Use: "list", Short: "List TLS hellos, from new to old",
		Example: "  rind tls list\n  rind tls list --name www.example.com --since 1d\n" +
			"  rind tls list --fingerprint t13d1516h2_8daaf6152771_e5627efa2ab1\n  rind tls list --since 1d -o json   # with certificates, ciphers and all fingerprints",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return s.listTLS(cmd.Context(), &f) },
	}
	f.flags(list, filterFlag{"name", "name", "exactly this server name, or every name below it with a leading *."},
		filterFlag{"fingerprint", "fingerprint", "JA4, JA3 or JA3S, or the SHA-256 of the server's certificate"})
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
			Columns: render.Columns("TIME", "CLIENT", "SERVER", "SERVER NAME", "VERSION", "ALPN", "JA4", "CERTIFICATE", "TAP"),
			Empty:   noTelemetry("TLS hello"),
		}
		for _, x := range all {
			t.Add(render.Clock(s.opts.Now(), x.Time), endpoint(x.Client, x.SrcPort, x.Proto), endpoint(x.Server, x.DstPort, x.Proto),
				x.SNI, tls.VersionName(cmp.Or(x.Chosen, x.Version)), cmp.Or(x.Protocol, strings.Join(x.ALPN, " ")), x.JA4, x.Subject, string(x.Tap))
		}
		return t
	})
}
