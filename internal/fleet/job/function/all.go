package function

import (
	"maps"

	"github.com/rind-project/rind/internal/fleet/job/function/basket"
	"github.com/rind-project/rind/internal/fleet/job/function/cmd"
	"github.com/rind-project/rind/internal/fleet/job/function/cp"
	"github.com/rind-project/rind/internal/fleet/job/function/cron"
	"github.com/rind-project/rind/internal/fleet/job/function/disk"
	"github.com/rind-project/rind/internal/fleet/job/function/event"
	"github.com/rind-project/rind/internal/fleet/job/function/facts"
	"github.com/rind-project/rind/internal/fleet/job/function/file"
	"github.com/rind-project/rind/internal/fleet/job/function/local"
	"github.com/rind-project/rind/internal/fleet/job/function/net"
	"github.com/rind-project/rind/internal/fleet/job/function/pkg"
	"github.com/rind-project/rind/internal/fleet/job/function/ps"
	"github.com/rind-project/rind/internal/fleet/job/function/schema"
	"github.com/rind-project/rind/internal/fleet/job/function/service"
	"github.com/rind-project/rind/internal/fleet/job/function/settings"
	"github.com/rind-project/rind/internal/fleet/job/function/status"
	"github.com/rind-project/rind/internal/fleet/job/function/sys"
	"github.com/rind-project/rind/internal/fleet/job/function/test"
	"github.com/rind-project/rind/internal/fleet/job/function/user"
)

// All returns every function that there is, for this host.
func All() []Function {
	runs := implementations(local.Host())
	all := schema.All()
	for i, f := range all {
		if f.Alias != "" {
			f.Name = f.Alias
		}
		all[i].Run = runs[f.Name]
	}
	return all
}

// implementations are what the functions do, by their names.
func implementations(s *local.System) map[string]schema.Run {
	runs := map[string]schema.Run{}
	for _, family := range []map[string]schema.Run{
		test.Runs(), cmd.Runs(s), facts.Runs(), settings.Runs(), pkg.Runs(s), service.Runs(s), file.Runs(s), cp.Runs(s), user.Runs(s), ps.Runs(s),
		disk.Runs(s), net.Runs(s), status.Runs(s), cron.Runs(s), sys.Runs(),
		basket.Runs(), event.Runs(),
	} {
		maps.Copy(runs, family)
	}
	return runs
}
