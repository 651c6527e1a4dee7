package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rind-project/rind/internal/api/wire"
	"github.com/rind-project/rind/internal/cli/render"
	"github.com/rind-project/rind/internal/network/record"
	"github.com/rind-project/rind/internal/network/store"
)

func (s *shell) recordCommand() *cobra.Command {
	list := &cobra.Command{
		Use: "list", Short: "List the kinds of records, and what there is of each",
		Example: "  rind record list\n  rind record list -o json",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return s.listKinds(cmd.Context()) },
	}
	return group("record", "What the taps' protocol parsers found: DHCP, HTTP, SSH, Wi-Fi and more", list, s.showRecordCommand())
}

// showRecordCommand has a command for each kind, with the filters of that kind.
func (s *shell) showRecordCommand() *cobra.Command {
	show := &cobra.Command{
		Use: "show KIND", Short: "Show the records of one kind, from new to old",
		Long: "Show the records of one kind, from new to old. Each kind has its own filters:\n`rind record show KIND --help` lists them. A text may begin or end with *; an\naddress may be a network.",
		Example: "  rind record show http --client 192.0.2.0/24 --since 1d\n" +
			"  rind record show dhcp --host-name 'printer*' -o json\n" +
			"  rind record show wifi_networks --ssid guest",
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return fmt.Errorf("name a kind of records; `rind record list` shows them")
			}
			return fmt.Errorf("there is no kind of records %.64q; `rind record list` shows them", args[0])
		},
	}
	own := map[string]*cobra.Command{store.KindFlows: s.flowCommand(), store.KindDNS: s.dnsCommand(), store.KindTLS: s.tlsCommand()}
	for _, k := range store.Kinds() {
		if group, ok := own[k.Name]; ok {
			list := group.Commands()[0]
			group.RemoveCommand(list)
			list.Use = k.Name
			show.AddCommand(list)
			continue
		}
		show.AddCommand(s.showKindCommand(k))
	}
	return show
}

func (s *shell) showKindCommand(k store.Kind) *cobra.Command {
	var f filters
	cmd := &cobra.Command{
		Use: k.Name, Short: strings.ToUpper(k.Doc[:1]) + k.Doc[1:],
		Example: recordExamples(k),
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return s.showRecords(cmd.Context(), k, &f) },
	}
	f.paging.flags(cmd, 100)
	f.values = map[string]*string{}
	for _, x := range recordFlags {
		f.values[x.parameter] = cmd.Flags().String(x.flag, "", x.usage)
	}
	for _, c := range k.Filters() {
		f.values[c.Key] = cmd.Flags().String(flagOf(c), "", c.Doc)
		if c.Type == record.Bool {
			_ = cmd.RegisterFlagCompletionFunc(flagOf(c), cobra.FixedCompletions([]string{"true", "false"}, noFiles))
		}
	}
	return cmd
}

// recordFlags are the flags of every kind.
var recordFlags = []filterFlag{telemetryFlags[0], telemetryFlags[1], {"tap", "tap", "seen by this tap"}}

func flagOf(c *record.Column) string { return strings.ReplaceAll(c.Key, "_", "-") }

// recordExamples begins with all, and goes on with the first filter.
func recordExamples(k store.Kind) string {
	verb := "  rind record show " + k.Name
	c := k.Filters()[0]
	value := map[record.Type]string{record.Addr: "192.0.2.0/24", record.MAC: "02:00:00:00:00:01", record.Text: "'a*'", record.Bool: "true"}[c.Type]
	if value == "" {
		value = "1"
	}
	return verb + " --since 1d\n" + verb + " --" + flagOf(c) + " " + value + " -o json"
}

func (s *shell) listKinds(ctx context.Context) error {
	var out wire.KindsOut
	if err := s.get(ctx, "/records", nil, &out); err != nil {
		return err
	}
	return showList(s, out.Kinds, func() *render.Table {
		t := &render.Table{Columns: render.Columns("KIND", ">LAST HOUR", ">ROWS", ">SIZE", "OLDEST", ">KEPT", "WHAT"), Empty: "no kinds of records"}
		for _, k := range out.Kinds {
			oldest := "-"
			if k.Oldest != nil {
				oldest = render.Clock(s.opts.Now(), *k.Oldest)
			}
			t.Add(k.Kind, lastHour(k.LastHour), strconv.FormatInt(k.Rows, 10), render.Bytes(k.SizeBytes), oldest,
				render.Duration(time.Duration(k.Retention)), k.Doc)
		}
		return t
	})
}

func (s *shell) showRecords(ctx context.Context, k store.Kind, f *filters) error {
	all, more, err := collect(ctx, f.paging, "before", f.query(), func(ctx context.Context, q url.Values) ([]json.RawMessage, string, error) {
		var out struct {
			Records []json.RawMessage `json:"records"`
			Next    *wire.Cursor      `json:"next"`
		}
		err := s.get(ctx, "/records/"+k.Name, q, &out)
		return out.Records, cursor(out.Next), err
	})
	if err != nil {
		return err
	}
	defer s.hintMore(more, len(all))
	return showList(s, all, func() *render.Table { return s.recordTable(k, all) })
}

// recordTable shows the columns that hold something in one of the rows.
func (s *shell) recordTable(k store.Kind, all []json.RawMessage) *render.Table {
	rows, taps, vendors := make([]record.Row, len(all)), make([]string, len(all)), make([]string, len(all))
	for i, raw := range all {
		var head struct{ Tap, Vendor string }
		rows[i] = k.New()
		_ = json.Unmarshal(raw, &head)             // a column that a newer server
		_ = json.Unmarshal(raw, rows[i].Pointer()) // writes in another way stays empty
		taps[i], vendors[i] = head.Tap, head.Vendor
	}
	t := &render.Table{Empty: noTelemetry(k.Name + " record")}
	var columns []*record.Column
	for i := range k.Columns {
		c := &k.Columns[i]
		if i == 0 || !strings.HasSuffix(c.Name, "_port") && c.Name != "proto" && used(rows, c) {
			columns = append(columns, c)
			number := c.Type == record.Duration || c.Type == record.Uint || c.Type == record.Int
			t.Columns = append(t.Columns, render.Column{Title: strings.ToUpper(strings.ReplaceAll(c.Name, "_", " ")), Right: number})
		}
	}
	told := strings.Join(vendors, "") != ""
	if told {
		t.Columns = append(t.Columns, render.Column{Title: "VENDOR"})
	}
	t.Columns = append(t.Columns, render.Column{Title: "TAP"})
	for i, row := range rows {
		var cells []string
		for _, c := range columns {
			cells = append(cells, s.recordCell(k, row, c))
		}
		if told {
			cells = append(cells, vendors[i])
		}
		t.Add(append(cells, taps[i])...)
	}
	return t
}

// used reports whether a column holds something in one of the rows.
func used(rows []record.Row, c *record.Column) bool {
	for _, r := range rows {
		if !r.Cell(c).IsZero() {
			return true
		}
	}
	return false
}

func (s *shell) recordCell(k store.Kind, row record.Row, c *record.Column) string {
	switch c.Type {
	case record.Time:
		return render.Clock(s.opts.Now(), *record.At[time.Time](row, c))
	case record.Duration:
		switch d := *record.At[time.Duration](row, c); {
		case d < 0:
			return "-" + render.Duration(-d)
		case d > 0:
			return render.Duration(d)
		}
		return "-"
	}
	text := row.Text(c)
	if port := k.Named(c.Name + "_port"); port != nil && text != "" && !row.Cell(port).IsZero() {
		return endpointText(text, row.Text(port))
	}
	if s.wide {
		return text
	}
	return clip(text, 60)
}

func endpointText(addr, port string) string {
	if strings.Contains(addr, ":") {
		return "[" + addr + "]:" + port
	}
	return addr + ":" + port
}

// lastHour is a count of rows, of which no more than so many are counted.
func lastHour(n int64) string {
	if n >= store.MaxCounted {
		return strconv.FormatInt(n, 10) + "+"
	}
	return strconv.FormatInt(n, 10)
}
