package node

import (
	"fmt"
	"slices"
	"time"

	"github.com/rind-project/rind/internal/base/config"
	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/network/node/cluster"
)

// Finding is something that is short, or wrong, in the cluster: what it is,
// how it shows, what follows, and what to do. docs/tuning.md says the same.
type Finding struct {
	What  string `json:"what"`           // standby, memory, cpu, postgresql or sqlite, connections, link, lag, node, clock, tasks, version
	Node  string `json:"node,omitempty"` // where
	Shows string `json:"shows"`          // the measurement
	So    string `json:"so"`             // the consequence
	Do    string `json:"do"`             // the remedy
}

// The bounds of the rules, as docs/tuning.md gives them.
const (
	cpuShort       = 0.9  // share of the cores
	databaseSlowMS = 250  // of one small transaction
	commitSlowMS   = 1000 // from the end of a report to its answer
	poolWaitMS     = 100
	busyFactor     = 4    // so much more each of these takes when the cores are full, without being short by itself
	linkSlowMS     = 1000 // until a body was there
	linkShare      = 0.6  // of the time until the answer
	clockOff       = 2 * time.Second
	lagLong        = time.Minute
)

// Diagnose names what is short. It looks at measurements only, so that a test
// can show each of its sentences.
func Diagnose(s Status) []Finding {
	var all []Finding
	versions := map[string]bool{}
	for _, i := range s.Nodes {
		if !i.Alive {
			all = append(all, Finding{"node", short(i), "no heartbeat since " + i.Seen.UTC().Format(time.RFC3339),
				"its taps turn to other nodes, and its leases go to them when their terms end",
				"look at the log of rind on " + i.Host + "; a node that is gone for good leaves this list after a day"})
			if i.ID != s.This { // which answers, so that what it measures is of now
				continue
			}
		}
		versions[i.Version] = true
		all = append(all, diagnoseNode(i)...)
		all = append(all, diagnoseCommits(i, s)...)
	}
	if len(versions) > 1 {
		all = append(all, Finding{"version", "", fmt.Sprintf("%d versions of rind share the database", len(versions)),
			"this is fine during an upgrade, and not meant to last", "upgrade the remaining nodes, one after the other"})
	}
	all = append(all, diagnoseDatabase(s)...)
	if s.Tasks.Dead > 0 {
		all = append(all, Finding{"tasks", "", fmt.Sprintf("%d tasks failed for good", s.Tasks.Dead),
			"what they should have done, such as an index, is missing", "`rind cluster tasks` says why; `rind cluster retry ID` tries one again"})
	}
	// The order of the rules is that of their weight.
	slices.SortStableFunc(all, func(a, b Finding) int { return weight(a.What) - weight(b.What) })
	return all
}

var order = []string{"standby", "memory", "cpu", "postgresql", "sqlite", "connections", "link", "lag", "node", "clock", "tasks", "version"}

func weight(what string) int { return slices.Index(order, what) }

// diagnoseNode finds what one node lacks by itself, and what its taps wait for.
func diagnoseNode(i cluster.Info) []Finding {
	var all []Finding
	l := i.Load
	if l.MemoryShort {
		all = append(all, Finding{"memory", short(i),
			fmt.Sprintf("%s of %s are in use", config.Size(l.Memory>>20<<20), config.Size(l.MemoryLimit>>20<<20)),
			"near its limit the node answers 429, and taps keep their reports",
			"add a node, raise memory_limit, or lower node.ingest limits"})
	}
	if busy(l) {
		all = append(all, Finding{"cpu", short(i),
			fmt.Sprintf("the machine's cores are %.0f %% in use, %.0f %% by rind", 100*max(l.HostCPU, l.CPU), 100*l.CPU),
			"answers to taps and pages are late", cpuRemedy(l)})
	}
	if l.ReceiveMS >= linkSlowMS && l.ReceiveMS >= linkShare*l.AnswerMS {
		all = append(all, Finding{"link", short(i), fmt.Sprintf("a report takes %.0f ms to arrive, of %.0f ms until it is answered", l.ReceiveMS, l.AnswerMS),
			"taps wait for the network between them and the node, not for the node",
			"look for loss and for a full line between the taps and this node; put a node near the taps, or send less (filters, longer report intervals)"})
	}
	if lag := time.Duration(l.LagMS * float64(time.Millisecond)); lag >= lagLong {
		all = append(all, Finding{"lag", short(i), fmt.Sprintf("reports are committed %s after their end", lag.Round(time.Second)),
			"pages show what was, not what is", "the other findings say why; without any, taps are emptying their spools after an outage"})
	}
	return all
}

// busy reports whether a node's cores are full.
func busy(l cluster.Load) bool { return max(l.CPU, l.HostCPU) >= cpuShort }

// diagnoseCommits finds why a node's commits are slow. When the processor is
// short all else is slow as well, so that then only what is much slower is told.
func diagnoseCommits(i cluster.Info, s Status) []Finding {
	l, factor := i.Load, 1.0
	if busy(l) {
		factor = busyFactor
	}
	commit := l.AnswerMS - l.ReceiveMS
	what, do := "postgresql", "look at the database's disk, processor and locks (pg_stat_activity): faster storage, more shared_buffers, synchronous_commit, or fewer big queries (database.read_url sends them to a standby)"
	lite := s.Database.Engine == database.SQLite
	if lite {
		what, do = "sqlite", "look for another program that keeps rind.db locked; put data_dir on a faster disk, send less, or go on with PostgreSQL: `rind database move postgres://…`"
	}
	var shows string
	switch {
	case s.Silent && s.Database.Role == "standby":
		return nil // it is told of by itself
	case s.Silent:
		shows = "the database does not answer"
	case l.DatabaseMS >= factor*databaseSlowMS:
		shows = fmt.Sprintf("one small transaction takes %.0f ms", l.DatabaseMS)
	case !lite && l.DatabaseMS < databaseSlowMS && l.PoolWaitMS >= factor*poolWaitMS && l.PoolMax > 0:
		return []Finding{{"connections", short(i), fmt.Sprintf("calls wait %.0f ms for one of %d connections", l.PoolWaitMS, l.PoolMax),
			"reports and pages queue while the database itself is quick",
			"raise pool_max_conns in database.url, within max_connections of the database, or add a node"}}
	case commit >= factor*commitSlowMS:
		shows = fmt.Sprintf("a report waits %.0f ms for its commit", commit)
	default:
		return nil
	}
	return []Finding{{what, short(i), shows, "each report waits for its commit, and taps' spools fill when it lasts", do}}
}

func cpuRemedy(l cluster.Load) string {
	if l.HostCPU >= cpuShort && l.CPU < cpuShort/2 {
		return "most of it is not rind's: look for what else runs there, such as PostgreSQL on the same machine"
	}
	return "add a node, or give this one more cores"
}

func diagnoseDatabase(s Status) []Finding {
	var all []Finding
	d := s.Database
	if d.Role == "standby" {
		all = append(all, Finding{"standby", "", "the database is a read-only standby",
			"nothing can be committed, and taps keep their reports", "promote it, or name the primary in database.url"})
	}
	if d.Max > 1 && d.Connections*10 >= d.Max*9 {
		all = append(all, Finding{"connections", "", fmt.Sprintf("the database has %d of %d connections in use", d.Connections, d.Max),
			"further nodes and tools are refused", "raise its max_connections, or lower pool_max_conns in database.url of the nodes"})
	}
	if skew := time.Duration(d.SkewMicros) * time.Microsecond; skew.Abs() >= clockOff {
		all = append(all, Finding{"clock", "", fmt.Sprintf("the database's clock is %s off this node's", skew.Round(time.Millisecond)),
			"times on pages are off by it, and reports may be refused for their time; leases are not concerned", "run NTP on the database's machine and on the nodes"})
	}
	return all
}
