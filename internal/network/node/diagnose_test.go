package node

import (
	"strings"
	"testing"
	"time"

	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/network/node/cluster"
)

// TestDiagnose shows each sentence by the measurements that call for it.
func TestDiagnose(t *testing.T) {
	t.Parallel()
	well := cluster.Load{CPU: 0.3, HostCPU: 0.4, Memory: 1 << 30, MemoryLimit: 4 << 30, DatabaseMS: 3, AnswerMS: 20, ReceiveMS: 2, PoolMax: 16}
	for name, tc := range map[string]struct {
		change func(*Status, *cluster.Load)
		want   []string // of the findings' What
		say    string
	}{
		"all well":         {func(*Status, *cluster.Load) {}, nil, ""},
		"cpu":              {func(_ *Status, l *cluster.Load) { l.CPU, l.HostCPU = 0.95, 0.97 }, []string{"cpu"}, "add a node"},
		"another's cpu":    {func(_ *Status, l *cluster.Load) { l.CPU, l.HostCPU = 0.1, 0.97 }, []string{"cpu"}, "not rind's"},
		"cpu explains all": {func(_ *Status, l *cluster.Load) { l.CPU, l.DatabaseMS, l.PoolWaitMS = 0.99, 900, 900 }, []string{"cpu"}, ""},
		"memory":           {func(_ *Status, l *cluster.Load) { l.MemoryShort = true }, []string{"memory"}, "memory_limit"},
		"garbage":          {func(_ *Status, l *cluster.Load) { l.Memory = l.MemoryLimit * 95 / 100 }, nil, ""}, // which the runtime would collect
		"postgresql":       {func(_ *Status, l *cluster.Load) { l.DatabaseMS, l.PoolWaitMS = 400, 300 }, []string{"postgresql"}, "disk"},
		"connections":      {func(_ *Status, l *cluster.Load) { l.PoolWaitMS = 300 }, []string{"connections"}, "pool_max_conns"},
		"full server":      {func(s *Status, _ *cluster.Load) { s.Database.Connections = 95 }, []string{"connections"}, "max_connections"},
		"link":             {func(_ *Status, l *cluster.Load) { l.ReceiveMS, l.AnswerMS = 4000, 4100 }, []string{"link"}, "between the taps"},
		"slow, not link":   {func(_ *Status, l *cluster.Load) { l.ReceiveMS, l.AnswerMS = 1100, 9000 }, []string{"postgresql"}, "7900 ms for its commit"},
		"cpu and database": {func(_ *Status, l *cluster.Load) { l.CPU, l.DatabaseMS = 0.99, 1100 }, []string{"cpu", "postgresql"}, "add a node"},
		"sqlite":           {func(s *Status, l *cluster.Load) { s.Database.Engine, l.DatabaseMS = database.SQLite, 400 }, []string{"sqlite"}, "rind database move"},
		"sqlite's writer":  {func(s *Status, l *cluster.Load) { s.Database.Engine, l.PoolWaitMS = database.SQLite, 400 }, nil, ""},
		"silent":           {func(s *Status, _ *cluster.Load) { s.Silent, s.Nodes = true, s.Nodes[:1] }, []string{"postgresql"}, "does not answer"},
		"its own silence":  {func(s *Status, l *cluster.Load) { s.This, s.Nodes[0].Alive, l.DatabaseMS = "0198-a", false, 5000 }, []string{"postgresql", "node"}, "no heartbeat"},
		"lag":              {func(_ *Status, l *cluster.Load) { l.LagMS = 90_000 }, []string{"lag"}, "1m30s"},
		"standby":          {func(s *Status, _ *cluster.Load) { s.Database.Role = "standby" }, []string{"standby"}, "promote"},
		"clock":            {func(s *Status, _ *cluster.Load) { s.Database.SkewMicros = -3e6 }, []string{"clock"}, "NTP"},
		"dead tasks":       {func(s *Status, _ *cluster.Load) { s.Tasks.Dead = 2 }, []string{"tasks"}, "rind cluster retry"},
		"a dead node":      {func(s *Status, _ *cluster.Load) { s.Nodes[1].Alive = false }, []string{"node"}, "other nodes"},
		"two versions":     {func(s *Status, _ *cluster.Load) { s.Nodes[1].Version = "v2" }, []string{"version"}, "upgrade"},
		"the worst first":  {func(s *Status, l *cluster.Load) { s.Tasks.Dead, l.DatabaseMS, l.MemoryShort = 1, 300, true }, []string{"memory", "postgresql", "tasks"}, ""},
	} {
		s := Status{
			Nodes:    []cluster.Info{{ID: "0198-a", Host: "one", Alive: true, Version: "v1", Load: well}, {ID: "0198-b", Host: "two", Alive: true, Version: "v1", Load: well, Seen: time.Unix(1, 0)}},
			Database: database.State{Role: "primary", Connections: 10, Max: 100},
		}
		tc.change(&s, &s.Nodes[0].Load)
		var got []string
		said := ""
		for _, f := range Diagnose(s) {
			got = append(got, f.What)
			said += f.Shows + f.So + f.Do
			if f.Shows == "" || f.So == "" || f.Do == "" || weight(f.What) < 0 {
				t.Errorf("%s: %+v is not whole", name, f)
			}
		}
		if strings.Join(got, " ") != strings.Join(tc.want, " ") {
			t.Errorf("%s: found %v, want %v", name, got, tc.want)
		}
		if !strings.Contains(said, tc.say) {
			t.Errorf("%s: %q does not say %q", name, said, tc.say)
		}
	}
}
