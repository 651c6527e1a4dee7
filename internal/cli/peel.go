package cli

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rind-project/rind/internal/api/wire"
	"github.com/rind-project/rind/internal/cli/render"
	"github.com/rind-project/rind/internal/fleet"
)

func (s *shell) peelCommand() *cobra.Command {
	var p paging
	var kinds kindFlags
	var match string
	list := &cobra.Command{
		Use: "list [TARGET]", Short: "List managed hosts",
		Example:           "  rind peel list\n  rind peel list 'web-* and G@os:Debian'\n  rind peel list --match S@10.0.0.0/8\n  rind peel list --all -o json",
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: s.completePeel,
		RunE: func(cmd *cobra.Command, args []string) error {
			typed := strings.Join(args, "")
			switch {
			case typed != "" && match != "":
				return errors.New("the target is given twice: as a word, and with --match")
			case typed+match != "":
				typed = kinds.expression(typed + match)
			case kinds.chosen != 0:
				return fmt.Errorf("-%c says of which kind the target is, and there is none", kinds.chosen)
			}
			return s.listPeels(cmd.Context(), p, typed)
		},
	}
	p.flags(list, 1000)
	list.Flags().StringVar(&match, "match", "", "show whom this target means; the same as TARGET")
	kinds.flags(list)
	show := &cobra.Command{
		Use: "show ID", Short: "Show a managed host with its facts",
		Example:           "  rind peel show web-01\n  rind peel show web-01 -o yaml",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: s.completePeel,
		RunE:              func(cmd *cobra.Command, args []string) error { return s.showPeel(cmd.Context(), args[0]) },
	}
	return group("peel", "Managed hosts", list, show)
}

func (s *shell) listPeels(ctx context.Context, p paging, match string) error {
	query := url.Values{}
	set(query, "match", match)
	all, more, err := collect(ctx, p, "after", query, func(ctx context.Context, q url.Values) ([]fleet.Peel, string, error) {
		var out wire.PeelsOut
		err := s.get(ctx, "/peels", q, &out)
		return out.Peels, out.Next, err
	})
	if err != nil {
		return pointed(err, match)
	}
	defer s.hintMore(more, len(all))
	return showList(s, all, func() *render.Table {
		t := &render.Table{Columns: render.Columns("ID", "PRESENCE", "SINCE", "OS", "ADDRESS", "VERSION")}
		t.Empty = "no peel here; `rind enroll token` prints the command that enrolls a host"
		if match != "" {
			t.Empty = "no peel matches " + render.Line(match)
		}
		noted := slices.ContainsFunc(all, func(x fleet.Peel) bool { return x.Suspension != nil })
		if noted {
			t.Columns = append(t.Columns, render.Columns("NOTE")...)
		}
		for _, x := range all {
			cells := []string{string(x.ID), string(x.Presence), s.ago(x.Since), x.OS, x.Address, x.Version}
			if noted {
				cells = append(cells, s.suspensionNote(x.Suspension))
			}
			t.Add(cells...)
		}
		return t
	})
}

func (s *shell) showPeel(ctx context.Context, id string) error {
	var x fleet.Peel
	if err := s.get(ctx, "/peels/"+url.PathEscape(id), nil, &x); err != nil {
		return err
	}
	about := []string{
		"id", string(x.ID), "presence", string(x.Presence), "since", s.ago(x.Since), "last seen", s.ago(x.LastSeen),
		"address", x.Address, "version", x.Version,
	}
	about = append(about, s.suspensionFields(x.Suspension)...)
	return s.show(x, fields(append(about, factFields(s, x.Facts)...)...))
}

// suspensionNote says in a few words why a peel is kept off the bus.
func (s *shell) suspensionNote(x *fleet.Suspension) string {
	switch {
	case x == nil:
		return ""
	case x.Until.IsZero():
		return x.Reason + ": until one of " + strings.Join(x.Addresses, ", ") + " is enrolled again"
	}
	return x.Reason + ": ends " + s.ago(x.Until)
}

// suspensionFields says why a peel is kept off the bus, and until when.
func (s *shell) suspensionFields(x *fleet.Suspension) []string {
	if x == nil {
		return nil
	}
	until := "when one of the hosts is enrolled again"
	if !x.Until.IsZero() {
		until = s.ago(x.Until)
	}
	return []string{"cut off for", x.Reason, "because", x.Detail, "key used from", strings.Join(x.Addresses, ", "), "ends", until}
}

// factFields words the facts of a host for people.
func factFields(s *shell, f *fleet.Facts) []string {
	if f == nil {
		return []string{"facts", "none yet"}
	}
	out := []string{
		"host name", first(f.FQDN, f.Hostname), "os", first(f.OSPretty, strings.TrimSpace(f.OS+" "+f.OSVersion)),
		"kernel", strings.TrimSpace(f.KernelName + " " + f.Kernel), "architecture", f.Arch,
		"processors", strings.TrimSpace(strconv.Itoa(f.CPU.Count) + " " + f.CPU.Model),
		"memory", render.Bytes(f.Mem.Total), "swap", render.Bytes(f.Mem.Swap),
		"virtual", f.Virtual, "packages", f.PkgManager, "init", f.Init, "booted", s.ago(f.BootTime),
	}
	for _, d := range f.Disks {
		out = append(out, "disk "+d.Name, strings.TrimSpace(render.Bytes(d.Size)+" "+d.Model))
	}
	for _, m := range f.Mounts {
		out = append(out, "mount "+m.Path, render.Bytes(m.Size)+" "+m.FSType+" on "+m.Device)
	}
	for _, i := range f.Interfaces {
		state := "down"
		if i.Up {
			state = "up"
		}
		out = append(out, "interface "+i.Name, strings.Join(append([]string{state, i.MAC}, i.Addresses...), " "))
	}
	return out
}

func first(all ...string) string {
	for _, s := range all {
		if s != "" {
			return s
		}
	}
	return ""
}
