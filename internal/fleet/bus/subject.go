// Package bus is the fleet plane's side of NATS: the connection, the subjects,
// the buckets and streams, and what a peel may publish and read. It links the
// client only, never the server.
//
// A subject says who speaks: the broker lets a peel publish below from.ID alone,
// so a reader takes the id from the subject and never from a payload. What is
// for a peel comes below to.ID, or below all for everybody, so that two
// subscriptions and one grant each way serve a peel: every one more would cost
// each server of a cluster memory and time for each peel (docs/adr/0013).
//
// What the broker cannot promise is who sent a reply: whoever publishes may
// name any subject as its reply, and what answers writes there with its own
// rights. So no stream listens to what peels publish (it would acknowledge to
// that reply); masters take it, answer to the peel's own inbox only, and write
// the buckets. And so jobs are signed.
package bus

import (
	"strconv"
	"strings"

	"github.com/rind-project/rind/internal/fleet"
)

// The subjects that concern every peel at once.
const (
	JobAll    = "all.job"    // jobs for whoever they are addressed to
	NoticeAll = "all.notice" // notices of new revisions, for everybody
	ToAll     = "all.>"      // both of them
)

// Subjects that servers subscribe to.
const (
	AllReturns    = "from.*.ret.>"
	AllFacts      = "from.*.facts"
	AllHeartbeats = "from.*.hb"
	AllStill      = "from.*.still"
	AllEvents     = "from.*.evt.>"
	AllAsks       = "from.*.ask.>"
	AllCatchUps   = "from.*.ask." + CatchUpAsk
	JobEvents     = "jobevt.>" // the subjects of the stream job-events,
	StoredEvents  = "event.>"  // which masters alone write

	// AllForwarded is where a master passes on a return to a job that another
	// one collects: the one that took it is not always the one that waits for it.
	AllForwarded = "master.ret.>"

	// ServersChanged is where a server tells the others that settings or groups
	// in the database have changed.
	ServersChanged = "servers.changed"
)

// CatchUpAsk is what a peel asks when it has connected: the jobs that it
// missed. They come on its own job subject.
const CatchUpAsk = "jobs"

// ToPeel is all that is for one peel: jobs, notices and answers.
func ToPeel(id fleet.PeelID) string { return "to." + string(id) + ".>" }

// JobSubject is where one peel takes its jobs.
func JobSubject(id fleet.PeelID) string { return "to." + string(id) + ".job" }

// NoticeSubject is where one peel is told that something of its own changed.
func NoticeSubject(id fleet.PeelID) string { return "to." + string(id) + ".notice" }

// InboxPrefix is the peel's own inbox; nobody else may read below it.
func InboxPrefix(id fleet.PeelID) string { return "to." + string(id) + ".in" }

// HeartbeatSubject is where a peel says that it lives, and in which version; it
// is never persisted.
func HeartbeatSubject(id fleet.PeelID) string { return from(id, "hb") }

// StillSubject is where a peel says that it lives still. Masters hear it only
// when no server tells them who is connected; else it ends at the peel's
// server, whose reading of it is all that counts.
func StillSubject(id fleet.PeelID) string { return from(id, "still") }

// EventSubject is where a peel publishes an event under a name of one or more
// tokens.
func EventSubject(id fleet.PeelID, name string) string { return from(id, "evt."+name) }

// ReturnSubject is where a peel publishes part n of its return to a job. A
// master stores it and answers.
func ReturnSubject(jid string, id fleet.PeelID, n int) string {
	return from(id, "ret."+jid+"."+strconv.Itoa(n))
}

// FactsSubject is where a peel publishes its facts. A master stores them and
// answers.
func FactsSubject(id fleet.PeelID) string { return from(id, "facts") }

// AskSubject is where a peel asks a master for something, by a name of one or
// more tokens such as basket.get.
func AskSubject(id fleet.PeelID, what string) string { return from(id, "ask."+what) }

func from(id fleet.PeelID, what string) string { return "from." + string(id) + "." + what }

// ForwardSubject is where a master passes on part n of a return.
func ForwardSubject(jid string, id fleet.PeelID, n int) string {
	return "master.ret." + ReturnKey(jid, id, n)
}

// ReturnKey is the key in the bucket job-returns under which part n of a return
// is stored.
func ReturnKey(jid string, id fleet.PeelID, n int) string {
	return jid + "." + string(id) + "." + strconv.Itoa(n)
}

// JobEventSubject is where masters record an event of a job.
func JobEventSubject(jid string) string { return "jobevt." + jid }

// StoredEventSubject is where masters keep an event of a peel, or of ByPeople.
func StoredEventSubject(id fleet.PeelID, name string) string {
	return "event." + string(id) + "." + name
}

// ParseFrom takes the subject of something that a peel says apart: who speaks,
// and what comes behind.
func ParseFrom(subject string) (id fleet.PeelID, what string, ok bool) {
	rest, found := strings.CutPrefix(subject, "from.")
	name, what, both := strings.Cut(rest, ".")
	id, err := fleet.ParsePeelID(name)
	return id, what, found && both && err == nil
}

// ParseFacts returns the peel that the subject of facts names.
func ParseFacts(subject string) (fleet.PeelID, bool) {
	id, what, ok := ParseFrom(subject)
	return id, ok && what == "facts"
}

// ParseHeartbeat returns the peel that a heartbeat's subject names, of either
// kind.
func ParseHeartbeat(subject string) (fleet.PeelID, bool) {
	id, what, ok := ParseFrom(subject)
	return id, ok && (what == "hb" || what == "still")
}

// ParseAsk returns who asks for what.
func ParseAsk(subject string) (id fleet.PeelID, what string, ok bool) {
	return parseNamed(subject, "ask.")
}

// ParseEvent returns the peel and the name in the subject of an event.
func ParseEvent(subject string) (id fleet.PeelID, name string, ok bool) {
	return parseNamed(subject, "evt.")
}

func parseNamed(subject, kind string) (id fleet.PeelID, name string, ok bool) {
	id, what, ok := ParseFrom(subject)
	name, found := strings.CutPrefix(what, kind)
	return id, name, ok && found && name != ""
}

// ParseReturn takes a return's subject apart.
func ParseReturn(subject string) (jid string, id fleet.PeelID, n int, ok bool) {
	id, rest, ok := parseNamed(subject, "ret.")
	jid, part, both := strings.Cut(rest, ".")
	if !ok || !both {
		return "", "", 0, false
	}
	return checkReturn(jid, id, part)
}

// ParseReturnKey takes a return's key in the bucket apart.
func ParseReturnKey(key string) (jid string, id fleet.PeelID, n int, ok bool) {
	f := strings.Split(key, ".")
	if len(f) != 3 {
		return "", "", 0, false
	}
	id, err := fleet.ParsePeelID(f[1])
	if err != nil {
		return "", "", 0, false
	}
	return checkReturn(f[0], id, f[2])
}

// ParseForwarded is ParseReturn for what a master passed on.
func ParseForwarded(subject string) (jid string, id fleet.PeelID, n int, ok bool) {
	key, found := strings.CutPrefix(subject, "master.ret.")
	if !found {
		return "", "", 0, false
	}
	return ParseReturnKey(key)
}

func checkReturn(jid string, id fleet.PeelID, part string) (string, fleet.PeelID, int, bool) {
	n, err := strconv.Atoi(part)
	if err != nil || n < 0 || strconv.Itoa(n) != part || !isJID(jid) {
		return "", "", 0, false
	}
	return jid, id, n, true
}

// isJID accepts what a job id is made of. A peel chooses that token itself, and
// the broker lets * and > pass in a publish.
func isJID(s string) bool {
	if s == "" || len(s) > 64 {
		return false
	}
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return true
}
