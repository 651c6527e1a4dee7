package cli

import (
	"cmp"
	"context"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/rind-project/rind/internal/api/wire"
	"github.com/rind-project/rind/internal/cli/render"
)

func (s *shell) storageCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "storage", Short: "Show what the telemetry takes, and what goes next and when",
		Long: "Show what each kind of record takes in the database, how long it is kept, and which\npartition of it is dropped next and when. Sums and names stand behind the kinds.\n" +
			"With --tenants show what the rows of each tenant's taps take of it instead.",
		Example: "  rind storage\n  rind storage --tenants\n  rind storage -o json",
		Args:    cobra.NoArgs,
	}
	tenants := cmd.Flags().Bool("tenants", false, "what the rows of each tenant's taps take")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return s.showStorage(cmd.Context(), *tenants) }
	return cmd
}

func (s *shell) showStorage(ctx context.Context, tenants bool) error {
	var out wire.StorageOut
	if err := s.get(ctx, "/storage", nil, &out); err != nil {
		return err
	}
	if tenants {
		return s.showTenants(out.Tenants)
	}
	err := showList(s, out.Tables, func() *render.Table {
		t := &render.Table{Columns: render.Columns("KIND", ">SIZE", ">LIMIT", ">KEPT", ">PARTITIONS", "NEXT TO GO", ">ITS SIZE", "WHEN"), Empty: "no tables"}
		for _, x := range out.Tables {
			next, size, when := s.next(x.Next)
			t.Add(cmp.Or(x.Kind, x.Table), render.Bytes(x.SizeBytes), upTo(x.MaxBytes), render.Duration(time.Duration(x.Retention)), strconv.Itoa(x.Partitions), next, size, when)
		}
		return t
	})
	if err != nil {
		return err
	}
	most := "any size"
	if out.MaxBytes > 0 {
		most = "at most " + render.Bytes(out.MaxBytes)
	}
	return s.done("%s of telemetry (%s), in a database of %s", render.Bytes(out.SizeBytes), most, render.Bytes(out.DatabaseBytes))
}

// showTenants lists tenants, a line each, and below it those of its kinds of
// which there is something.
func (s *shell) showTenants(all []wire.TenantUseOut) error {
	return showList(s, all, func() *render.Table {
		t := &render.Table{Columns: render.Columns("TENANT", ">TAPS", "KIND", ">SIZE", ">LIMIT", ">KEPT", "NEXT TO GO", ">ITS SIZE", "WHEN"), Empty: "no taps"}
		for _, x := range all {
			t.Add(x.Tenant, strconv.Itoa(x.Taps), "all", render.Bytes(x.SizeBytes), upTo(x.MaxBytes), "", "", "", "")
			for _, k := range x.Kinds {
				next, size, when := s.next(k.Next)
				t.Add(x.Tenant, "", k.Kind, render.Bytes(k.SizeBytes), upTo(k.MaxBytes), render.Duration(time.Duration(k.Retention)), next, size, when)
			}
		}
		return t
	})
}

// upTo words a size that may be taken.
func upTo(bytes int64) string {
	if bytes == 0 {
		return "-"
	}
	return render.Bytes(bytes)
}

// next words what goes next, its size, and when it goes.
func (s *shell) next(d *wire.DropOut) (what, size, when string) {
	if d == nil {
		return "-", "-", "-"
	}
	when = render.Clock(s.opts.Now(), d.At)
	if d.Reason == "size" {
		when = "now, for its size"
	}
	return "before " + render.Clock(time.Time{}, d.To), render.Bytes(d.SizeBytes), when
}
