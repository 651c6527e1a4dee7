package tap

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/rind-project/rind/internal/app/daemon"
	"github.com/rind-project/rind/internal/base/config"
	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/network/bluetooth"
	"github.com/rind-project/rind/internal/network/capture"
	"github.com/rind-project/rind/internal/network/tap"
)

// checked is what a check found, in JSON.
type checked struct {
	OK         bool               `json:"ok"`
	Interfaces []checkedInterface `json:"interfaces"`
	Memory     checkedMemory      `json:"memory"`
	Nodes      []string           `json:"nodes"`
	Bluetooth  string             `json:"bluetooth"`
	Missing    []string           `json:"missing,omitempty"` // each keeps the tap from its work, and says what to do
	Notes      []string           `json:"notes,omitempty"`   // what is worth to know
}

// checkedInterface is an interface and how it would be captured.
type checkedInterface struct {
	capture.Device
	Filter      string      `json:"filter"`
	Workers     int         `json:"workers"`
	CPUs        []int       `json:"cpus,omitempty"`
	RingBytes   config.Size `json:"ring_bytes"` // of all its workers
	Snaplen     int         `json:"snaplen"`
	Promiscuous bool        `json:"promiscuous"`
}

type checkedMemory struct {
	RingBytes config.Size `json:"ring_bytes"`
	Available config.Size `json:"available"`
	Limit     config.Size `json:"limit,omitempty"` // of the control group
}

// checkCommand says for each interface what would be captured, and what is
// missing.
func checkCommand(load *daemon.Loader) *cobra.Command {
	var interfaces []string
	var format string
	cmd := &cobra.Command{
		Use: "check", Short: "say what would be captured, and what is missing", Args: cobra.NoArgs,
		Long: "check says for each interface what would be captured and how, and what is missing: a\n" +
			"right, memory, an interface, a node. It ends with 1 when something is.",
		Example: "  rind-tap check\n  rind-tap check --interface eth0\n  rind-tap check -o json | jq .missing",
		RunE: func(c *cobra.Command, _ []string) error {
			if format != "table" && format != "json" {
				return errs.New(errs.Invalid, "the result of a check has no format %q; use table or json", format)
			}
			cfg, err := loadConfig(load, interfaces)
			if err != nil {
				return err
			}
			result := check(c.Context(), cfg)
			if format == "json" {
				enc := json.NewEncoder(c.OutOrStdout())
				enc.SetIndent("", "  ")
				err = enc.Encode(result)
			} else {
				err = result.table(c.OutOrStdout())
			}
			if err == nil && !result.OK {
				err = &daemon.ExitError{Code: 1}
			}
			return err
		},
	}
	interfaceFlag(cmd, &interfaces)
	cmd.Flags().StringVarP(&format, "output", "o", "table", "table or json")
	return cmd
}

// check looks at this host as a tap with the configuration would.
func check(ctx context.Context, cfg Config) *checked {
	r := &checked{Nodes: cfg.Node.URLs}
	miss := func(format string, args ...any) { r.Missing = append(r.Missing, fmt.Sprintf(format, args...)) }
	list := cfg.Interfaces
	if len(list) == 0 {
		miss("no interface is configured: name one with --interface or the key interfaces; the ones listed are what this host has")
		list = tap.Named(capture.Interfaces()...)
	}
	for _, i := range list {
		r.add(cfg.Capture.Of(i), i.Name, miss)
	}
	available, limit := capture.Memory()
	r.Memory.Available, r.Memory.Limit = inMiB(available), inMiB(limit)
	room := available
	if limit > 0 {
		room = min(room, limit)
	}
	if len(cfg.Interfaces) > 0 && uint64(r.Memory.RingBytes) > room && room > 0 {
		miss("the rings take %s and there is room for %s: make them smaller (capture.ring_bytes), or take fewer workers", r.Memory.RingBytes, inMiB(room))
	}
	if !canOpen() {
		miss("no CAP_NET_RAW: start it as root, or `setcap cap_net_raw+ep` the binary; `rind-tap read FILE` works without")
	}
	if len(r.Nodes) == 0 {
		miss("no node: run the command that `rind tap add NAME` prints")
	}
	var err error
	if r.Bluetooth, err = bluetooth.Check(ctx, cfg.Bluetooth); err != nil {
		miss("bluetooth: %v", err)
	}
	r.OK = len(r.Missing) == 0
	return r
}

// add looks at one interface.
func (r *checked) add(c tap.Capture, name string, miss func(string, ...any)) {
	i := checkedInterface{
		Device: capture.Inspect(name), Filter: c.Filter, Workers: c.Workers, CPUs: c.CPUs, RingBytes: c.RingBytes * config.Size(c.Workers),
		Snaplen: c.Snaplen, Promiscuous: c.Promiscuous,
	}
	note := func(format string, args ...any) { r.Notes = append(r.Notes, name+": "+fmt.Sprintf(format, args...)) }
	switch i.State {
	case capture.StateMissing:
		miss("%s: no such interface; there are: %s. When it appears it is captured", name, capture.InterfaceNames())
	case capture.StateDown:
		miss("%s: the interface is down: `ip link set %s up`; when it is up it is captured", name, name)
	}
	if err := i.Filtered(c.Filter); err != nil {
		miss("%s: %v", name, err)
	}
	if len(i.Offloads) > 0 {
		note("with %s segments come joined in frames of up to 64 KiB, and each frame counts as one packet; `ethtool -K %s %s off` keeps them as they are on the wire",
			strings.Join(i.Offloads, ", "), name, strings.Join(i.Offloads, " off "))
	}
	if i.VLANStripped {
		note("VLAN tags are taken out by the card and put back by the tap")
	}
	if i.State != capture.StateMissing {
		r.Memory.RingBytes += i.RingBytes
	}
	r.Interfaces = append(r.Interfaces, i)
}

// table writes what was found for people.
func (r *checked) table(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "INTERFACE\tSTATE\tLINK\tMTU\tMAC\tWORKERS\tRING\tOFFLOADS\tVLAN\tFILTER\tADDRESSES")
	for _, i := range r.Interfaces {
		workers := strconv.Itoa(i.Workers)
		if len(i.CPUs) > 0 {
			workers += " on CPU " + strings.Trim(fmt.Sprint(i.CPUs), "[]")
		}
		vlan, filter := "in frame", "all packets"
		if i.VLANStripped {
			vlan = "stripped, restored"
		}
		if i.Filter != "" {
			filter = i.Filter
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", i.Name, i.State, dash(i.Link), dash(zero(i.MTU)), dash(i.MAC), workers,
			i.RingBytes, dash(strings.Join(i.Offloads, " ")), vlan, filter, dash(strings.Join(i.Addresses, " ")))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	limit := ""
	if r.Memory.Limit > 0 {
		limit = fmt.Sprintf(", limit of the control group %s", r.Memory.Limit)
	}
	fmt.Fprintf(out, "memory: rings take %s; available %s%s\n", r.Memory.RingBytes, r.Memory.Available, limit)
	if r.Bluetooth != "" {
		fmt.Fprintln(out, "bluetooth:", r.Bluetooth)
	}
	for _, n := range r.Notes {
		fmt.Fprintln(out, "note:", n)
	}
	for _, m := range r.Missing {
		fmt.Fprintln(out, "missing:", m)
	}
	if r.OK {
		fmt.Fprintln(out, "nothing is missing")
	}
	return nil
}

// inMiB rounds down to whole MiB, for people.
func inMiB(n uint64) config.Size { return config.Size(n >> 20 << 20) }

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func zero(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}
