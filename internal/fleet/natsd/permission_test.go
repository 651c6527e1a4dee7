package natsd_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/bus"
)

// violations collects what the broker refuses a connection.
type violations struct {
	mu   sync.Mutex
	errs []string
}

func watchViolations(nc *nats.Conn) *violations {
	v := &violations{}
	nc.SetErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
		v.mu.Lock()
		defer v.mu.Unlock()
		v.errs = append(v.errs, err.Error())
	})
	return v
}

// has reports whether the subject was refused for the operation. The broker
// answers in order, so a flush before it sees every refusal.
func (v *violations) has(op, subject string) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, e := range v.errs {
		if strings.Contains(strings.ToLower(e), "permissions violation for "+op) && strings.Contains(e, `"`+subject+`"`) {
			return true
		}
	}
	return false
}

func TestPeelPermissionMatrix(t *testing.T) {
	t.Parallel()
	b := startBus(t, t.TempDir())
	b.ensured()
	const a, other = fleet.PeelID("peel-a"), fleet.PeelID("peel-b")
	nc := b.peel(a)
	seen := watchViolations(nc)
	tests := []struct {
		op, subject string
		allowed     bool
	}{
		{"subscription", bus.JobAll, true},
		{"subscription", bus.JobSubject(a), true},
		{"subscription", bus.NoticeAll, true},
		{"subscription", bus.NoticeSubject(a), true},
		{"subscription", bus.InboxPrefix(a) + ".>", true},
		{"subscription", bus.ToAll, true},
		{"subscription", bus.ToPeel(a), true},
		{"subscription", bus.ToPeel(other), false},
		{"subscription", bus.JobSubject(other), false},
		{"subscription", bus.NoticeSubject(other), false},
		{"subscription", bus.InboxPrefix(other) + ".>", false},
		{"subscription", "to." + string(a), false},
		{"subscription", ">", false},
		{"subscription", "*", false},
		{"subscription", "*.>", false},
		{"subscription", "to.>", false},
		{"subscription", "to.*.job", false},
		{"subscription", "to.*.>", false},
		{"subscription", "from.>", false},
		{"subscription", "_INBOX.>", false},
		{"subscription", bus.AllReturns, false},
		{"subscription", bus.ReturnSubject("j1", a, 0), false},
		{"subscription", bus.AllHeartbeats, false},
		{"subscription", bus.AllEvents, false},
		{"subscription", "jobevt.>", false},
		{"subscription", "$KV.>", false},
		{"subscription", bus.FactsSubject(a), false},
		{"subscription", "$JS.>", false},
		{"subscription", "$SYS.>", false},
		{"publish", bus.ReturnSubject("j1", a, 0), true},
		{"publish", bus.ReturnSubject("j2", a, 12), true},
		{"publish", bus.HeartbeatSubject(a), true},
		{"publish", bus.FactsSubject(a), true},
		{"publish", bus.EventSubject(a, "disk.full"), true},
		{"publish", bus.ReturnSubject("j1", other, 0), false},
		{"publish", "from." + string(a), false},
		{"publish", "from.*.hb", false},
		{"publish", "$KV.job-returns.j1." + string(a) + ".0", false},
		{"publish", bus.HeartbeatSubject(other), false},
		{"publish", bus.FactsSubject(other), false},
		{"publish", "$KV.facts." + string(a), false},
		{"publish", "$KV.enrollments." + string(a), false},
		{"publish", "$KV.jobs.j1", false},
		{"publish", bus.EventSubject(other, "disk.full"), false},
		{"publish", bus.EventSubject(other, "x") + ".from." + string(a), false},
		{"publish", bus.JobAll, false},
		{"publish", bus.JobSubject(a), false},
		{"publish", bus.JobSubject(other), false},
		{"publish", bus.NoticeAll, false},
		{"publish", bus.NoticeSubject(other), false},
		{"publish", bus.InboxPrefix(a) + ".x", false},
		{"publish", bus.InboxPrefix(other) + ".x", false},
		{"publish", "_INBOX.x", false},
		{"publish", bus.JobEventSubject("j1"), false},
		{"publish", "$JS.API.INFO", false},
		{"publish", "$JS.API.STREAM.LIST", false},
		{"publish", "$JS.API.STREAM.PURGE.KV_facts", false},
		{"publish", "$JS.API.DIRECT.GET.KV_facts.$KV.facts." + string(other), false},
		{"publish", "$JS.API.CONSUMER.CREATE.KV_facts", false},
		{"publish", "$SYS.REQ.SERVER.PING", false},
		{"publish", "$SYS.REQ.USER.INFO", false},
	}
	for _, tt := range tests {
		if tt.op == "publish" {
			if err := nc.Publish(tt.subject, []byte("{}")); err != nil {
				t.Fatal(err)
			}
		} else if _, err := nc.Subscribe(tt.subject, func(*nats.Msg) {}); err != nil {
			t.Fatal(err)
		}
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(200 * time.Millisecond) // the client hands errors on in the background
	for _, tt := range tests {
		if denied := seen.has(tt.op, tt.subject); denied == tt.allowed {
			t.Errorf("%s %s: denied is %v, allowed should be %v", tt.op, tt.subject, denied, tt.allowed)
		}
	}
}

// TestReplyOfAPeelIsAnsweredByNoStream publishes what a peel may publish, with
// replies that name what it may not: had a stream listened, its
// acknowledgement would stand there.
func TestReplyOfAPeelIsAnsweredByNoStream(t *testing.T) {
	t.Parallel()
	b := startBus(t, t.TempDir())
	js := b.ensured()
	server := b.master()
	const evil = fleet.PeelID("evil")
	mine := []string{bus.FactsSubject(evil), bus.ReturnSubject("j1", evil, 0), bus.HeartbeatSubject(evil), bus.EventSubject(evil, "x")}
	var targets []string
	for _, spec := range bus.Buckets() {
		targets = append(targets, "$KV."+spec.Name+".victim")
	}
	targets = append(targets, bus.JobEventSubject("j1"), bus.FactsSubject("victim"), bus.ReturnSubject("j1", "victim", 0),
		bus.HeartbeatSubject("victim"), bus.JobSubject("victim"), bus.JobAll, bus.InboxPrefix("victim")+".x",
		"$JS.API.STREAM.PURGE.KV_facts", "$JS.API.STREAM.DELETE.KV_facts")
	// What arrives on a target; the server reads everything. A request to the
	// JetStream API would come as a purge, which the streams' states show.
	arrived := make(chan *nats.Msg, 1000)
	for _, subject := range targets {
		if _, err := server.ChanSubscribe(subject, arrived); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := js.Publish(t.Context(), "$KV.facts.witness", []byte("{}")); err != nil {
		t.Fatal(err)
	}
	if err := server.Flush(); err != nil {
		t.Fatal(err)
	}
	states := func() map[string]jetstream.StreamState {
		all := map[string]jetstream.StreamState{}
		for info := range js.ListStreams(t.Context()).Info() {
			state := info.State
			state.Consumers = 0
			all[info.Config.Name] = state
		}
		return all
	}
	before := states()
	if len(before) != len(bus.Buckets())+2 { // the streams of events and files
		t.Fatalf("%d streams", len(before))
	}
	peel := b.peel(evil)
	seen := watchViolations(peel)
	for _, subject := range mine {
		for _, reply := range targets {
			if err := peel.PublishRequest(subject, reply, []byte(`{"id":"evil"}`)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := peel.Flush(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(200 * time.Millisecond) // what JetStream does, it does in the background
	for _, subject := range mine {
		if seen.has("publish", subject) {
			t.Errorf("the peel may not publish to %s, so that this shows nothing", subject)
		}
	}
	select {
	case m := <-arrived:
		t.Errorf("a peel's reply made the bus write %s: %s", m.Subject, m.Data)
	default:
	}
	if diff := cmp.Diff(before, states(), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("streams changed (-before +after):\n%s", diff)
	}
}

// One roll-up header would purge the whole bucket, everybody's keys with it. It
// is refused even where a header of a peel should come through by mistake.
func TestNobodyRollsUpWhatPeelsSaid(t *testing.T) {
	t.Parallel()
	b := startBus(t, t.TempDir())
	js := b.ensured()
	kv, err := js.KeyValue(t.Context(), bus.Facts)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kv.Put(t.Context(), "victim", []byte("facts")); err != nil {
		t.Fatal(err)
	}
	evil := b.master()
	for _, header := range []nats.Header{
		{"Nats-Rollup": {"all"}}, {"Nats-Rollup": {"sub"}}, {"Nats-TTL": {"1s"}}, {"Nats-Incr": {"+1"}},
		{"Nats-Batch-Id": {"x"}, "Nats-Batch-Sequence": {"1"}, "Nats-Batch-Commit": {"1"}, "Nats-Rollup": {"all"}},
		{"Nats-Batch-Id": {"x"}, "Nats-Batch-Sequence": {"1"}, "Nats-Batch-Commit": {"1"}, "Nats-Rollup": {"sub"}},
		{"Nats-Schedule": {"@every 1s"}, "Nats-Schedule-Target": {"$KV.facts.victim"}},
	} {
		ack, err := evil.RequestMsg(&nats.Msg{Subject: "$KV.facts.evil", Header: header, Data: []byte("x")}, 5*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(ack.Data), `"error"`) {
			t.Errorf("%v was taken: %s", header, ack.Data)
		}
	}
	if e, err := kv.Get(t.Context(), "victim"); err != nil || string(e.Value()) != "facts" {
		t.Errorf("the victim's facts are %v (%v)", e, err)
	}
	if err := bus.Purge(t.Context(), js, bus.Facts, "victim"); err != nil {
		t.Fatal(err)
	}
	if _, err := kv.Get(t.Context(), "victim"); err == nil {
		t.Error("bus.Purge left the key")
	}
}

func TestPeelAnswersNobody(t *testing.T) {
	t.Parallel()
	b := startBus(t, t.TempDir())
	master := b.master()
	peel := b.peel("web-01")
	seen := watchViolations(peel)
	asked := make(chan struct{})
	if _, err := peel.Subscribe(bus.JobSubject("web-01"), func(m *nats.Msg) {
		_ = m.Respond([]byte("one"))
		_ = peel.Flush()
		close(asked)
	}); err != nil {
		t.Fatal(err)
	}
	if err := peel.Flush(); err != nil {
		t.Fatal(err)
	}
	inbox := master.NewInbox()
	got, err := master.SubscribeSync(inbox)
	if err != nil {
		t.Fatal(err)
	}
	if err := master.PublishRequest(bus.JobSubject("web-01"), inbox, nil); err != nil {
		t.Fatal(err)
	}
	select {
	case <-asked:
	case <-time.After(5 * time.Second):
		t.Fatal("the peel was not asked")
	}
	if m, err := got.NextMsg(300 * time.Millisecond); err == nil {
		t.Errorf("an answer came: %s", m.Data)
	}
	if !seen.has("publish", inbox) {
		t.Error("the answer was not refused")
	}
}

func TestPeelLimits(t *testing.T) {
	t.Parallel()
	b := startBus(t, t.TempDir())
	peel := b.peel("web-01")
	var mu sync.Mutex
	var refused error
	peel.SetErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
		mu.Lock()
		defer mu.Unlock()
		refused = err
	})
	for range bus.PeelMaxSubscriptions + 1 {
		if _, err := peel.Subscribe(bus.JobAll, func(*nats.Msg) {}); err != nil {
			t.Fatal(err)
		}
	}
	if err := peel.Flush(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(100 * time.Millisecond)
	mu.Lock()
	defer mu.Unlock()
	if refused == nil || !strings.Contains(refused.Error(), "maximum subscriptions") {
		t.Errorf("33 subscriptions: %v", refused)
	}
	if got := peel.MaxPayload(); got > bus.PeelMaxPayload {
		t.Errorf("the largest message is %d", got)
	}
}

// The broker does not refuse a wildcard in a publish. It has to stay a plain
// token: nobody else's subscription, key or permission may match because of it.
func TestWildcardInAPublishReachesNobodyElse(t *testing.T) {
	t.Parallel()
	b := startBus(t, t.TempDir())
	js := b.ensured()
	kv, err := js.KeyValue(t.Context(), bus.JobReturns)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kv.PutString(t.Context(), "j1.evil.0", "before"); err != nil {
		t.Fatal(err)
	}
	got := make(chan string, 16)
	if _, err := b.master().Subscribe("from.*.ret.j1.>", func(m *nats.Msg) { got <- m.Subject }); err != nil {
		t.Fatal(err)
	}
	evil := b.peel("evil")
	for _, subject := range []string{"from.evil.ret.*.0", "from.*.ret.j1.0", "from.evil.>", "from.*.hb", "$KV.facts.*", "from.*.evt.x"} {
		_ = evil.Publish(subject, []byte("wild"))
	}
	if err := evil.Flush(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(100 * time.Millisecond)
	if e, err := kv.Get(t.Context(), "j1.evil.0"); err != nil || string(e.Value()) != "before" {
		t.Errorf("the key holds %v (%v)", e, err)
	}
	select {
	case subject := <-got:
		t.Errorf("a subscriber of from.*.ret.j1.> was given %s", subject)
	default:
	}
}
