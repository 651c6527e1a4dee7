package cli

import (
	"context"
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rind-project/rind/internal/api/wire"
	"github.com/rind-project/rind/internal/cli/render"
	"github.com/rind-project/rind/internal/network/store"
)

func (s *shell) dnsCommand() *cobra.Command {
	var f filters
	list := &cobra.Command{
		Use: "list", Short: "List DNS queries, from new to old",
		Example: "  rind dns list\n  rind dns list --name '*.example.com' --since 1d\n  rind dns list --addr 192.0.2.7 -o json\n  rind dns list --via mdns\n  rind dns list --domain example.com --since 1d",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return s.listDNS(cmd.Context(), &f) },
	}
	f.flags(list,
		filterFlag{"name", "name", "exactly this name, or every name below it with a leading *."},
		filterFlag{"type", "type", "number of the record type, such as 1 for A"},
		filterFlag{"via", "via", "dns, mdns, llmnr or nbns"},
		filterFlag{"domain", "domain", "registered domain, such as example.co.uk"})
	return group("dns", "DNS queries that the taps saw", list)
}

func (s *shell) listDNS(ctx context.Context, f *filters) error {
	all, more, err := collect(ctx, f.paging, "before", f.query(), func(ctx context.Context, q url.Values) ([]store.DNS, string, error) {
		var out wire.DNSOut
		err := s.get(ctx, "/dns", q, &out)
		return out.DNS, cursor(out.Next), err
	})
	if err != nil {
		return err
	}
	defer s.hintMore(more, len(all))
	return showList(s, all, func() *render.Table {
		t := &render.Table{
			Columns: render.Columns("TIME", "CLIENT", "SERVER", "VIA", "TYPE", "NAME", ">ENTROPY", "RESULT", "FLAGS", ">LATENCY", "ANSWERS", "TAP"),
			Empty:   noTelemetry("DNS query"),
		}
		for _, x := range all {
			result, latency := "no answer", "-"
			if x.Answered {
				result, latency = rcodeName(x.RCode), render.Duration(x.Latency)
			}
			t.Add(render.Clock(s.opts.Now(), x.Time), x.Client.String(), x.Server.String(), x.Via, typeName(x.Type), x.Name,
				entropy(x.Entropy), result, x.Flags(), latency, clip(strings.Join(x.Answers, " "), 60), string(x.Tap))
		}
		return t
	})
}

// entropy is bits per byte, of thousandths.
func entropy(e uint16) string { return strconv.FormatFloat(float64(e)/1000, 'f', 2, 64) }

// typeName is the mnemonic of a record type (IANA, DNS Resource Record Types).
func typeName(t uint16) string {
	switch t {
	case 1:
		return "A"
	case 2:
		return "NS"
	case 5:
		return "CNAME"
	case 6:
		return "SOA"
	case 12:
		return "PTR"
	case 15:
		return "MX"
	case 16:
		return "TXT"
	case 28:
		return "AAAA"
	case 32:
		return "NB" // RFC 1002; elsewhere nobody uses NIMLOC
	case 33:
		return "SRV"
	case 43:
		return "DS"
	case 48:
		return "DNSKEY"
	case 64:
		return "SVCB"
	case 65:
		return "HTTPS"
	case 255:
		return "ANY"
	}
	return "TYPE" + strconv.Itoa(int(t)) // RFC 3597, section 5
}

// rcodeName is the mnemonic of a response code (IANA, DNS RCODEs).
func rcodeName(c uint8) string {
	names := [...]string{"NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"}
	if int(c) < len(names) {
		return names[c]
	}
	return "RCODE" + strconv.Itoa(int(c))
}
