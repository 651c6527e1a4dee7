package server

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strings"
	"testing"

	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/bus"
)

// The columns of testdata/subjects.txt.
var (
	busCallers  = []string{"nobody", "own", "other", "revoked"}
	busColumns  = []string{"publish nobody", "publish own", "publish other", "publish revoked", "subscribe nobody", "subscribe own", "subscribe other", "subscribe revoked"}
	walkingPeel = fleet.PeelID("peel-a")
	otherPeel   = fleet.PeelID("peel-b")
	revokedPeel = fleet.PeelID("peel-r")
)

// spoken is every name in package bus that stands for a subject, as a pattern
// in which {peel} is a peel. TestSubjectsOfPackageBus sees to it that none is
// missing.
func spoken() map[string]string {
	const p = fleet.PeelID("{peel}")
	return map[string]string{
		"JobAll": bus.JobAll, "NoticeAll": bus.NoticeAll, "ToAll": bus.ToAll, "ToPeel": bus.ToPeel(p),
		"AllReturns": bus.AllReturns, "AllFacts": bus.AllFacts, "AllHeartbeats": bus.AllHeartbeats, "AllStill": bus.AllStill, "AllEvents": bus.AllEvents, "AllAsks": bus.AllAsks, "AllCatchUps": bus.AllCatchUps, "JobEvents": bus.JobEvents, "StoredEvents": bus.StoredEvents, "ServersChanged": bus.ServersChanged,
		"AllForwarded": bus.AllForwarded, "ForwardSubject": bus.ForwardSubject("j1", p, 0),
		"JobSubject": bus.JobSubject(p), "NoticeSubject": bus.NoticeSubject(p), "HeartbeatSubject": bus.HeartbeatSubject(p), "StillSubject": bus.StillSubject(p),
		"CatchUpAsk": bus.AskSubject(p, bus.CatchUpAsk), "AskSubject": bus.AskSubject(p, "basket.get"), "EventSubject": bus.EventSubject(p, "disk.full"), "ReturnSubject": bus.ReturnSubject("j1", p, 0),
		"ReturnKey": "$KV." + bus.JobReturns + "." + bus.ReturnKey("j1", p, 0), "FactsSubject": bus.FactsSubject(p),
		"JobEventSubject": bus.JobEventSubject("j1"), "StoredEventSubject": bus.StoredEventSubject(p, "disk.full"), "InboxPrefix": bus.InboxPrefix(p) + ".x",
	}
}

// What clients of NATS may ask JetStream and the server; {stream} is each
// stream that there is.
var natsSubjects = []string{
	">", "*", "*.>", "to.>", "to.*.job", "from.>", "blob.>", "blob.p.{peel}.x.y.0", "from.*.ret.*.*", "jobevt", "_INBOX.x", "_INBOX.>", "anything.else",
	"$KV.>", "$JS.>", "$JS.API.>", "$JS.EVENT.>", "$JS.EVENT.ADVISORY.STREAM.DELETED.{stream}", "$JS.ACK.>", "$JS.ACK.{stream}.c.1.1.1.1.1", "$JS.FC.{stream}.c.x",
	"$JS.API.INFO", "$JS.API.ACCOUNT.PURGE.x", "$JS.API.STREAM.NAMES", "$JS.API.STREAM.LIST",
	"$JS.API.STREAM.CREATE.{stream}", "$JS.API.STREAM.UPDATE.{stream}", "$JS.API.STREAM.INFO.{stream}", "$JS.API.STREAM.DELETE.{stream}",
	"$JS.API.STREAM.PURGE.{stream}", "$JS.API.STREAM.SNAPSHOT.{stream}", "$JS.API.STREAM.RESTORE.{stream}",
	"$JS.API.STREAM.MSG.GET.{stream}", "$JS.API.STREAM.MSG.DELETE.{stream}", "$JS.API.STREAM.LEADER.STEPDOWN.{stream}", "$JS.API.STREAM.PEER.REMOVE.{stream}",
	"$JS.API.DIRECT.GET.{stream}", "$JS.API.DIRECT.GET.{stream}.$KV.facts.{peel}",
	"$JS.API.CONSUMER.CREATE.{stream}", "$JS.API.CONSUMER.CREATE.{stream}.c", "$JS.API.CONSUMER.CREATE.{stream}.c.$KV.facts.{peel}", "$JS.API.CONSUMER.DURABLE.CREATE.{stream}.c",
	"$JS.API.CONSUMER.NAMES.{stream}", "$JS.API.CONSUMER.LIST.{stream}", "$JS.API.CONSUMER.INFO.{stream}.c", "$JS.API.CONSUMER.DELETE.{stream}.c",
	"$JS.API.CONSUMER.MSG.NEXT.{stream}.c", "$JS.API.CONSUMER.PAUSE.{stream}.c",
	"$SYS.>", "$SYS.REQ.USER.INFO", "$SYS.REQ.SERVER.PING", "$SYS.REQ.SERVER.PING.CONNZ", "$SYS.REQ.ACCOUNT.PING.CONNZ",
	"$SYS.REQ.CLAIMS.UPDATE", "$SYS.REQ.CLAIMS.DELETE", "$SYS.REQ.CLAIMS.LIST", "$SYS.ACCOUNT.x.CONNECT", "$SYS.ACCOUNT.x.DISCONNECT",
}

// patterns are the rows that the table has to have.
func patterns() []string {
	all := slices.Clone(natsSubjects)
	for _, s := range spoken() {
		all = append(all, s)
	}
	for _, b := range bus.Buckets() {
		all = append(all, "$KV."+b.Name+".{peel}", "$KV."+b.Name+".{peel}.more")
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// streams are the names of all streams that package bus makes.
func streams() []string {
	names := []string{bus.EventsStream, bus.FilesStream}
	for _, b := range bus.Buckets() {
		names = append(names, "KV_"+b.Name)
	}
	slices.Sort(names)
	return names
}

func subjectTable(t *testing.T) map[string]expectation {
	t.Helper()
	return readTable(t, "testdata/subjects.txt", 1, busColumns, "allow", "deny")
}

// TestSubjectsOfPackageBus fails when package bus learns a subject that the
// walk does not know.
func TestSubjectsOfPackageBus(t *testing.T) {
	t.Parallel()
	file, err := parser.ParseFile(token.NewFileSet(), "../../fleet/bus/subject.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	known := spoken()
	for name := range file.Scope.Objects { //nolint:staticcheck // names of one file are all it takes
		obj := file.Scope.Objects[name]
		if !ast.IsExported(name) || strings.HasPrefix(name, "Parse") || obj.Kind != ast.Con && obj.Kind != ast.Fun {
			continue
		}
		if known[name] == "" {
			t.Errorf("bus.%s is a subject that the walk does not know", name)
		}
		delete(known, name)
	}
	for name := range known {
		t.Errorf("bus.%s is no more", name)
	}
}

// TestTemplateIsCovered: what a peel is granted is what the table allows, no
// pattern more.
func TestTemplateIsCovered(t *testing.T) {
	t.Parallel()
	table, p := subjectTable(t), bus.PeelPermissions()
	for column, granted := range map[string][]string{"publish own": p.Pub.Allow, "subscribe own": p.Sub.Allow} {
		for _, grant := range granted {
			grant = strings.ReplaceAll(grant, "{{name()}}", "{peel}")
			if !slices.ContainsFunc(patterns(), func(s string) bool { return table[s][column] == "allow" && covers(grant, s) }) {
				t.Errorf("%s: %s is granted, and nothing in the table needs it", column, grant)
			}
		}
	}
}

// covers reports whether a subject matches a pattern of NATS.
func covers(pattern, subject string) bool {
	p, s := strings.Split(pattern, "."), strings.Split(subject, ".")
	for i, token := range p {
		switch {
		case token == ">":
			return len(s) > i
		case i >= len(s) || token != "*" && token != s[i]:
			return false
		}
	}
	return len(p) == len(s)
}
