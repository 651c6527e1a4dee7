package cli

import (
	"context"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/rind-project/rind/internal/api/wire"
	"github.com/rind-project/rind/internal/cli/render"
)

func (s *shell) trafficCommand() *cobra.Command {
	var since, until, bucket, limit string
	show := &cobra.Command{
		Use: "show", Short: "Show the traffic over time",
		Example: "  rind traffic show --since 1d --bucket 1h",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return s.showTraffic(cmd.Context(), url.Values{"from": {since}, "to": {until}, "bucket": {bucket}})
		},
	}
	show.Flags().StringVar(&bucket, "bucket", "", "width of a row, such as 5m (chosen to give about 60 without it)")
	top := &cobra.Command{
		Use: "top", Short: "List the addresses with the most traffic",
		Example: "  rind traffic top --since 15m --limit 20",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return s.listTalkers(cmd.Context(), url.Values{"from": {since}, "to": {until}, "limit": {limit}})
		},
	}
	top.Flags().StringVar(&limit, "limit", "10", "show at most this many")
	for _, cmd := range []*cobra.Command{show, top} {
		cmd.Flags().StringVar(&since, "since", "", telemetryFlags[0].usage)
		cmd.Flags().StringVar(&until, "until", "", telemetryFlags[1].usage)
	}
	return group("traffic", "Traffic over time, and who makes it", show, top)
}

func (s *shell) showTraffic(ctx context.Context, query url.Values) error {
	var out wire.TrafficOut
	if err := s.get(ctx, "/traffic", query, &out); err != nil {
		return err
	}
	return showList(s, out.Traffic, func() *render.Table {
		t := &render.Table{Columns: render.Columns("TIME", ">BYTES", ">PACKETS", ">FLOWS"), Empty: noTelemetry("traffic")}
		for _, p := range out.Traffic {
			t.Add(render.Clock(s.opts.Now(), p.Time), render.Bytes(p.Bytes), strconv.FormatInt(p.Packets, 10), strconv.FormatInt(p.Flows, 10))
		}
		return t
	})
}

func (s *shell) listTalkers(ctx context.Context, query url.Values) error {
	var out wire.TalkersOut
	if err := s.get(ctx, "/top-talkers", query, &out); err != nil {
		return err
	}
	return showList(s, out.Talkers, func() *render.Table {
		t := &render.Table{Columns: render.Columns("ADDRESS", ">SENT", ">RECEIVED", ">PACKETS", ">FLOWS"), Empty: noTelemetry("traffic")}
		for _, x := range out.Talkers {
			t.Add(x.Addr.String(), render.Bytes(x.BytesOut), render.Bytes(x.BytesIn), strconv.FormatInt(x.Packets, 10), strconv.FormatInt(x.Flows, 10))
		}
		return t
	})
}

func (s *shell) overviewCommand() *cobra.Command {
	return &cobra.Command{
		Use: "overview", Short: "Show the state of both planes in numbers",
		Example: "  rind overview\n  rind overview -o json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var out wire.OverviewOut
			if err := s.get(cmd.Context(), "/overview", nil, &out); err != nil {
				return err
			}
			return s.show(out, fields(overviewFields(out)...))
		},
	}
}

func overviewFields(out wire.OverviewOut) []string {
	var all []string
	for _, p := range out.Problems {
		all = append(all, "problem", p)
	}
	if f := out.Fleet; f != nil {
		all = append(all, "peels", strconv.Itoa(f.Peels), "connected", strconv.Itoa(f.Connected), "away", strconv.Itoa(f.Away),
			"never seen", strconv.Itoa(f.Never), "cut off", strconv.Itoa(f.CutOff), "enrollments that wait", strconv.Itoa(f.Pending), "jobs that run", strconv.Itoa(f.Running))
	}
	if n := out.Network; n != nil {
		all = append(all, "taps", strconv.Itoa(n.Taps), "reporting", strconv.Itoa(n.Reporting),
			"packets (24 h)", strconv.FormatInt(n.Received, 10), "dropped (24 h)", strconv.FormatInt(n.Dropped, 10),
			"flows (1 h)", strconv.FormatInt(n.Flows, 10), "bytes (1 h)", render.Bytes(n.Bytes))
	}
	return all
}
