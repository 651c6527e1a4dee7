// Package bus is the fleet plane's side of NATS: the connection, the subjects,
// the buckets and streams, and what a peel may publish and read. It links the
// client only, never the server.
//
// A subject says who speaks: the broker lets a peel publish under its own id
// alone, so a reader takes the id from the subject and never from a payload.
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
	JobAll    = "job.all"    // jobs for whoever they are addressed to
	NoticeAll = "notice.all" // notices of new revisions, for everybody
)

// Subjects that servers subscribe to.
const (
	AllReturns    = "ret.>"
	AllFacts      = "facts.*"
	AllHeartbeats = "hb.*"
	AllEvents     = "evt.>"
	AllAsks       = "ask.>"
	AllCatchUps   = "ask.*." + CatchUpAsk
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

// JobSubject is where one peel takes its jobs.
func JobSubject(id fleet.PeelID) string { return "job.p." + string(id) }

// NoticeSubject is where one peel is told that something of its own changed.
func NoticeSubject(id fleet.PeelID) string { return "notice.p." + string(id) }

// HeartbeatSubject is where a peel says that it lives; it is never persisted.
func HeartbeatSubject(id fleet.PeelID) string { return "hb." + string(id) }

// EventSubject is where a peel publishes an event under a name of one or more
// tokens.
func EventSubject(id fleet.PeelID, name string) string { return "evt." + string(id) + "." + name }

// ReturnSubject is where a peel publishes part n of its return to a job. A
// master stores it and answers.
func ReturnSubject(jid string, id fleet.PeelID, n int) string {
	return "ret." + jid + "." + string(id) + "." + strconv.Itoa(n)
}

// ForwardSubject is where a master passes on part n of a return.
func ForwardSubject(jid string, id fleet.PeelID, n int) string {
	return "master." + ReturnSubject(jid, id, n)
}

// ReturnKey is the key in the bucket job-returns under which it is stored.
func ReturnKey(jid string, id fleet.PeelID, n int) string {
	return strings.TrimPrefix(ReturnSubject(jid, id, n), "ret.")
}

// FactsSubject is where a peel publishes its facts. A master stores them and
// answers.
func FactsSubject(id fleet.PeelID) string { return "facts." + string(id) }

// ParseFacts returns the peel that the subject of facts names.
func ParseFacts(subject string) (fleet.PeelID, bool) {
	rest, found := strings.CutPrefix(subject, "facts.")
	id, err := fleet.ParsePeelID(rest)
	return id, found && err == nil
}

// JobEventSubject is where masters record an event of a job.
func JobEventSubject(jid string) string { return "jobevt." + jid }

// InboxPrefix is the peel's own inbox; nobody else may read below it.
func InboxPrefix(id fleet.PeelID) string { return "_INBOX_" + string(id) }

// ParseReturn takes a return's subject, or its key in the bucket, apart.
func ParseReturn(subject string) (jid string, id fleet.PeelID, n int, ok bool) {
	f := strings.Split(strings.TrimPrefix(subject, "ret."), ".")
	if len(f) != 3 || !isJID(f[0]) {
		return "", "", 0, false
	}
	id, err := fleet.ParsePeelID(f[1])
	if err != nil {
		return "", "", 0, false
	}
	n, err = strconv.Atoi(f[2])
	if err != nil || n < 0 || strconv.Itoa(n) != f[2] {
		return "", "", 0, false
	}
	return f[0], id, n, true
}

// ParseForwarded is ParseReturn for what a master passed on.
func ParseForwarded(subject string) (jid string, id fleet.PeelID, n int, ok bool) {
	rest, found := strings.CutPrefix(subject, "master.")
	if !found {
		return "", "", 0, false
	}
	return ParseReturn(rest)
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

// ParseHeartbeat returns the peel that a heartbeat's subject names.
func ParseHeartbeat(subject string) (fleet.PeelID, bool) {
	rest, found := strings.CutPrefix(subject, "hb.")
	id, err := fleet.ParsePeelID(rest)
	return id, found && err == nil
}

// AskSubject is where a peel asks a master for something, by a name of one or
// more tokens such as basket.get.
func AskSubject(id fleet.PeelID, what string) string { return "ask." + string(id) + "." + what }

// ParseAsk returns who asks for what.
func ParseAsk(subject string) (id fleet.PeelID, what string, ok bool) {
	rest, found := strings.CutPrefix(subject, "ask.")
	name, what, both := strings.Cut(rest, ".")
	id, err := fleet.ParsePeelID(name)
	return id, what, found && both && what != "" && err == nil
}

// ParseEvent returns the peel and the name in the subject of an event.
func ParseEvent(subject string) (id fleet.PeelID, name string, ok bool) {
	rest, found := strings.CutPrefix(subject, "evt.")
	peel, name, both := strings.Cut(rest, ".")
	id, err := fleet.ParsePeelID(peel)
	return id, name, found && both && name != "" && err == nil
}

// StoredEventSubject is where masters keep an event of a peel, or of ByPeople.
func StoredEventSubject(id fleet.PeelID, name string) string {
	return "event." + string(id) + "." + name
}
