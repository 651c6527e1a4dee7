package cli

import (
	"context"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/rind-project/rind/internal/api/wire"
	"github.com/rind-project/rind/internal/cli/render"
	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/store"
)

func (s *shell) flowCommand() *cobra.Command {
	var f filters
	list := &cobra.Command{
		Use: "list", Short: "List flows, from new to old",
		Example: "  rind flow list\n" +
			"  rind flow list --since 15m --addr 192.0.2.0/24 --port 443\n" +
			"  rind flow list --name '*.example.com' --country DE\n" +
			"  rind flow list --app dns --tap office --all -o ndjson\n" +
			"  rind flow list --tunnel vxlan",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return s.listFlows(cmd.Context(), &f) },
	}
	f.flags(list,
		filterFlag{"port", "port", "from or to this port"},
		filterFlag{"proto", "proto", "tcp, udp, icmp, icmpv6, igmp, sctp or a number"},
		filterFlag{"app", "app", "application protocol, such as dns or tls"},
		filterFlag{"tunnel", "tunnel", "carried in vxlan, geneve, gre, erspan, ipip, mpls, pppoe or ppp"},
		filterFlag{"country", "country", "from or to this country, two letters such as DE"},
		filterFlag{"as", "as", "from or to the autonomous system of this number"},
		filterFlag{"name", "name", "from or to this name; *.example.com is every name below"})
	return group("flow", "Traffic that the taps saw", list)
}

func (s *shell) listFlows(ctx context.Context, f *filters) error {
	all, more, err := collect(ctx, f.paging, "before", f.query(), func(ctx context.Context, q url.Values) ([]store.Flow, string, error) {
		var out wire.FlowsOut
		err := s.get(ctx, "/flows", q, &out)
		return out.Flows, cursor(out.Next), err
	})
	if err != nil {
		return err
	}
	defer s.hintMore(more, len(all))
	return showList(s, all, func() *render.Table {
		t := &render.Table{
			Columns: render.Columns("START", "PROTO", "SOURCE", "DESTINATION", "APP", "STATE", ">SENT", ">RECEIVED", ">PACKETS", ">RTT", ">RETRANS", "TAP"),
			Empty:   noTelemetry("flow"),
		}
		told := slices.ContainsFunc(all, func(x store.Flow) bool { return x.AboutSource()+x.AboutDest() != "" })
		if told {
			t.Columns = append(t.Columns, render.Columns("ABOUT SOURCE", "ABOUT DESTINATION")...)
		}
		for _, x := range all {
			row := []string{render.Clock(s.opts.Now(), x.Start), carried(x), endpoint(x.Source, x.SrcPort, x.Proto), endpoint(x.Dest, x.DstPort, x.Proto),
				x.App, x.State.String(), render.Bytes(x.SrcBytes), render.Bytes(x.DstBytes), strconv.FormatUint(x.SrcPkts+x.DstPkts, 10),
				roundTrip(x), retransmitted(x), string(x.Tap)}
			if told {
				row = append(row, x.AboutSource(), x.AboutDest())
			}
			t.Add(row...)
		}
		return t
	})
}

// carried is a flow's protocol, and what it was carried in.
func carried(f store.Flow) string {
	if f.Tunnel == network.TunnelNone {
		return f.Proto.String()
	}
	return f.Proto.String() + " in " + f.Tunnel.String() + " " + strconv.FormatUint(uint64(f.TunnelID), 10)
}

// roundTrip is that of the handshake, from end to end, or "-" when it was not
// seen in this report.
func roundTrip(f store.Flow) string {
	if f.ClientRTT == 0 || f.ServerRTT == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f ms", (f.ClientRTT+f.ServerRTT).Seconds()*1000)
}

// retransmitted counts segments both ways; only TCP has them.
func retransmitted(f store.Flow) string {
	if f.Proto != network.TCP {
		return "-"
	}
	return strconv.FormatUint(uint64(f.SrcRetrans)+uint64(f.DstRetrans), 10)
}

func noTelemetry(what string) string {
	return "no " + what + " in this range; widen it with --since, or see `rind tap list`"
}

func cursor(c *wire.Cursor) string {
	if c == nil {
		return ""
	}
	text, _ := c.MarshalText() // it cannot fail
	return string(text)
}

// endpoint is an address, with its port where the protocol has ports.
func endpoint(addr netip.Addr, port uint16, proto network.Proto) string {
	if !addr.IsValid() {
		return "-"
	}
	if proto != network.TCP && proto != network.UDP && proto != network.SCTP {
		return addr.String()
	}
	return netip.AddrPortFrom(addr, port).String()
}
