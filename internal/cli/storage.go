package cli

import (
	"context"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/rind-project/rind/internal/api/wire"
	"github.com/rind-project/rind/internal/cli/render"
)

func (s *shell) storageCommand() *cobra.Command {
	return &cobra.Command{
		Use: "storage", Short: "Show what the telemetry takes, and what goes next and when",
		Long:    "Show what each kind of record takes in the database, how long it is kept, and which\npartition of it is dropped next and when. Sums and names stand behind the kinds.",
		Example: "  rind storage\n  rind storage -o json",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return s.showStorage(cmd.Context()) },
	}
}

func (s *shell) showStorage(ctx context.Context) error {
	var out wire.StorageOut
	if err := s.get(ctx, "/storage", nil, &out); err != nil {
		return err
	}
	err := showList(s, out.Tables, func() *render.Table {
		t := &render.Table{Columns: render.Columns("KIND", ">SIZE", ">LIMIT", ">KEPT", ">PARTITIONS", "NEXT TO GO", ">ITS SIZE", "WHEN"), Empty: "no tables"}
		for _, x := range out.Tables {
			name, limit, next, size, when := x.Kind, "-", "-", "-", "-"
			if name == "" {
				name = x.Table
			}
			if x.MaxBytes > 0 {
				limit = render.Bytes(x.MaxBytes)
			}
			if d := x.Next; d != nil {
				next, size, when = "before "+render.Clock(time.Time{}, d.To), render.Bytes(d.SizeBytes), render.Clock(s.opts.Now(), d.At)
				if d.Reason == "size" {
					when = "now, for its size"
				}
			}
			t.Add(name, render.Bytes(x.SizeBytes), limit, render.Duration(time.Duration(x.Retention)), strconv.Itoa(x.Partitions), next, size, when)
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
