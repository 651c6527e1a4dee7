package web_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"path"
	"slices"
	"sync"
	"time"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/enroll"
	"github.com/rind-project/rind/internal/fleet/enroll/registrar"
	"github.com/rind-project/rind/internal/fleet/event"
	"github.com/rind-project/rind/internal/fleet/master"
	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/ingest"
	"github.com/rind-project/rind/internal/network/store"
)

// bell wakes those who wait for changes.
type bell struct {
	mu  sync.Mutex
	all map[chan struct{}]struct{}
}

func (b *bell) Changes(ctx context.Context) <-chan struct{} {
	ch := make(chan struct{}, 1)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.all == nil {
		b.all = map[chan struct{}]struct{}{}
	}
	b.all[ch] = struct{}{}
	context.AfterFunc(ctx, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.all, ch)
	})
	return ch
}

func (b *bell) ring() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for ch := range b.all {
		select {
		case ch <- struct{}{}:
		default:
		}
	}
}

// fakeEvents are events in memory, newest first.
type fakeEvents struct {
	bell
	mu    sync.Mutex
	all   []fleet.Event
	asked event.Query
}

func (f *fakeEvents) Latest(_ context.Context, q event.Query) ([]fleet.Event, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = q
	if q.Glob == "[" {
		return nil, errs.New(errs.Invalid, "%q is no glob of events' names", q.Glob)
	}
	var out []fleet.Event
	for _, e := range f.all {
		if ok, _ := path.Match(q.Glob, e.Name); q.Glob == "" || ok {
			out = append(out, e)
		}
	}
	return out, nil
}

// fakeFleet is a master in memory.
type fakeFleet struct {
	bell
	mu      sync.Mutex
	peels   []fleet.Peel
	jobs    []fleet.Job
	returns map[string][]fleet.Return
	watched map[string][]chan fleet.JobEvent
	fail    error
	asked   []fleet.JobRequest
	read    int // hosts that were given since Counts was asked, as each page does first
	most    int // the most of it
}

func (f *fakeFleet) Peels(_ context.Context, q master.PeelQuery) ([]fleet.Peel, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fail != nil {
		return nil, f.fail
	}
	if q.Match == "[" {
		return nil, errs.New(errs.Invalid, "the target %q does not end", q.Match)
	}
	var out []fleet.Peel
	for _, p := range f.peels {
		ok, _ := path.Match(q.Match, string(p.ID))
		if (q.Match == "" || ok) && p.ID > q.After && len(out) < q.Limit {
			p.Facts = nil
			out = append(out, p)
		}
	}
	f.read += len(out)
	f.most = max(f.most, f.read)
	return out, nil
}

func (f *fakeFleet) Peel(_ context.Context, id fleet.PeelID) (fleet.Peel, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, p := range f.peels {
		if p.ID == id {
			return p, nil
		}
	}
	return fleet.Peel{}, errs.New(errs.NotFound, "no peel %s is known; rind peel list shows all", id)
}

func (f *fakeFleet) Counts(context.Context) (master.Counts, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fail != nil {
		return master.Counts{}, f.fail
	}
	f.read = 0
	c := master.Counts{Total: len(f.peels)}
	for _, p := range f.peels {
		switch p.Presence {
		case fleet.Connected:
			c.Connected++
		case fleet.Away:
			c.Away++
			if len(c.AwayPeels) < 10 {
				c.AwayPeels = append(c.AwayPeels, p.ID)
			}
		default:
			c.Never++
		}
	}
	return c, nil
}

// JobsOf knows by the returns and the missing, as the master does.
func (f *fakeFleet) JobsOf(_ context.Context, id fleet.PeelID, limit int) ([]fleet.Job, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []fleet.Job
	for _, j := range f.jobs {
		answered := slices.ContainsFunc(f.returns[j.JID], func(r fleet.Return) bool { return r.Peel == id })
		if len(out) < limit && (answered || slices.Contains(j.Summary.MissingPeels, id)) {
			out = append(out, j)
		}
	}
	return out, nil
}

func (f *fakeFleet) Run(_ context.Context, req fleet.JobRequest) (fleet.Job, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, req)
	if req.Target == "none" {
		return fleet.Job{}, errs.New(errs.NotFound, "the target %q matches no peel", req.Target)
	}
	j := fleet.Job{JID: "0190a8c2-7b4e-7f3a-9c1d-00000000ffff", Target: req.Target, Function: req.Function, Args: req.Args, By: req.By,
		State: fleet.JobRunning, Created: time.Now(), Expires: time.Now().Add(time.Minute), Summary: fleet.Summary{Targeted: 2, Missing: 2}}
	f.jobs = append([]fleet.Job{j}, f.jobs...)
	return j, nil
}

func (f *fakeFleet) Jobs(_ context.Context, limit int) ([]fleet.Job, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.jobs[:min(limit, len(f.jobs))]), nil
}

func (f *fakeFleet) Job(_ context.Context, jid string) (fleet.Job, []fleet.Return, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, j := range f.jobs {
		if j.JID == jid {
			return j, slices.Clone(f.returns[jid]), nil
		}
	}
	return fleet.Job{}, nil, errs.New(errs.NotFound, "no job %s is known; rind job list shows the latest", jid)
}

func (f *fakeFleet) Glance(ctx context.Context, jid string) (fleet.Job, error) {
	j, _, err := f.Job(ctx, jid)
	return j, err
}

func (f *fakeFleet) Control(_ context.Context, jid, action, by string) (fleet.Job, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range f.jobs {
		if j := &f.jobs[i]; j.JID == jid {
			if j.State.Ended() {
				return *j, errs.New(errs.Conflict, "the job is %s already", j.State)
			}
			j.State, j.Reason = map[string]fleet.JobState{master.Cancel: fleet.JobCancelled, master.Pause: fleet.JobPaused, master.Resume: fleet.JobRunning}[action], "by "+by
			return *j, nil
		}
	}
	return fleet.Job{}, errs.New(errs.NotFound, "no job %s is known", jid)
}

func (f *fakeFleet) Retry(ctx context.Context, jid, by string) (fleet.Job, error) {
	old, _, err := f.Job(ctx, jid)
	if err != nil {
		return old, err
	}
	return f.Run(ctx, fleet.JobRequest{Target: old.Target, Function: old.Function, By: by})
}

func (f *fakeFleet) Watch(ctx context.Context, jid string) (<-chan fleet.JobEvent, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	ch := make(chan fleet.JobEvent, 100)
	for _, r := range f.returns[jid] {
		ch <- fleet.JobEvent{Return: &r}
	}
	f.watched[jid] = append(f.watched[jid], ch)
	return ch, nil
}

// answer adds a return to a running job; the last one ends it.
func (f *fakeFleet) answer(r fleet.Return) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.returns[r.JID] = append(f.returns[r.JID], r)
	events := []fleet.JobEvent{{Return: &r}}
	for i := range f.jobs {
		j := &f.jobs[i]
		if j.JID != r.JID {
			continue
		}
		j.Summary.Answered++
		j.Summary.Missing--
		if !r.OK {
			j.Summary.Failed++
		}
		if j.Summary.Missing == 0 {
			j.State, j.Ended = fleet.JobDone, r.Finished
			done := *j
			events = append(events, fleet.JobEvent{Done: &done})
		}
	}
	for _, ch := range f.watched[r.JID] {
		for _, e := range events {
			ch <- e
		}
	}
}

func (f *fakeFleet) requests() []fleet.JobRequest {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.asked)
}

// fakeEnroll is a registrar in memory.
type fakeEnroll struct {
	mu      sync.Mutex
	records []enroll.Record
	did     []string
}

func (f *fakeEnroll) CreateToken(_ context.Context, req registrar.TokenRequest) (registrar.Token, error) {
	return registrar.Token{ID: "abc", Secret: "rindpeel_abc_secret", AutoApprove: req.AutoApprove, Expires: time.Now().Add(req.TTL)}, nil
}

func (f *fakeEnroll) List(_ context.Context, state string) ([]enroll.Record, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []enroll.Record
	for _, r := range f.records {
		if state == "" || string(r.State) == state {
			out = append(out, r)
		}
	}
	return out, nil
}

func (f *fakeEnroll) Show(_ context.Context, id fleet.PeelID) (enroll.Record, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range f.records {
		if r.ID == id {
			return r, nil
		}
	}
	return enroll.Record{}, errs.New(errs.NotFound, "no enrollment of %s is known", id)
}

func (f *fakeEnroll) decide(id fleet.PeelID, what string, to enroll.State) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.did = append(f.did, what+" "+string(id))
	for i := range f.records {
		if f.records[i].ID == id {
			f.records[i].State, f.records[i].Decided = to, time.Now()
		}
	}
	return nil
}

func (f *fakeEnroll) Approve(_ context.Context, id fleet.PeelID, by string, replace bool) error {
	return f.decide(id, fmt.Sprintf("approve %s %t", by, replace), enroll.Approved)
}

func (f *fakeEnroll) Reject(_ context.Context, id fleet.PeelID, by string) error {
	return f.decide(id, "reject "+by, enroll.Rejected)
}

func (f *fakeEnroll) Revoke(_ context.Context, id fleet.PeelID, by string) error {
	return f.decide(id, "revoke "+by, enroll.Revoked)
}

// fakeTraffic is the telemetry in memory.
type fakeTraffic struct {
	bell
	mu      sync.Mutex
	flows   []store.Flow
	dns     []store.DNS
	tls     []store.TLS
	points  []store.TrafficPoint
	talkers []store.Talker
	names   []store.Name
	servers []store.Name
	losses  []store.Loss
	ledgers []store.Ledger
	gaps    []store.Gap
	records map[string][]store.Record // by kind
	asked   []any
}

func (f *fakeTraffic) note(q any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, q)
}

func (f *fakeTraffic) Flows(_ context.Context, q store.FlowQuery) ([]store.Flow, error) {
	f.note(q)
	return f.flows[:min(q.Limit, len(f.flows))], nil
}

func (f *fakeTraffic) DNS(_ context.Context, q store.DNSQuery) ([]store.DNS, error) {
	f.note(q)
	return f.dns[:min(q.Limit, len(f.dns))], nil
}

func (f *fakeTraffic) TLS(_ context.Context, q store.TLSQuery) ([]store.TLS, error) {
	f.note(q)
	return f.tls[:min(q.Limit, len(f.tls))], nil
}

func (f *fakeTraffic) Traffic(context.Context, time.Time, time.Time, time.Duration) ([]store.TrafficPoint, error) {
	return f.points, nil
}

func (f *fakeTraffic) TopTalkers(_ context.Context, _, _ time.Time, limit int) ([]store.Talker, error) {
	return f.talkers[:min(limit, len(f.talkers))], nil
}

func (f *fakeTraffic) LatestNames(_ context.Context, limit int) ([]store.Name, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.names[:min(limit, len(f.names))]), nil
}

func (f *fakeTraffic) LatestServers(_ context.Context, limit int) ([]store.Name, error) {
	return f.servers[:min(limit, len(f.servers))], nil
}

func (f *fakeTraffic) Losses(context.Context, time.Time, time.Time) ([]store.Loss, error) {
	return f.losses, nil
}

func (f *fakeTraffic) Ledgers(_ context.Context, q store.LedgerQuery) ([]store.Ledger, error) {
	return f.ledgers[:min(q.Limit, len(f.ledgers))], nil
}

func (f *fakeTraffic) Storage(context.Context) (store.Storage, error) {
	out := store.Storage{Bytes: 3 << 20, MaxBytes: 1 << 30, Database: 5 << 20}
	for _, k := range store.Kinds() {
		t := store.TableStorage{Kind: k.Name, Table: k.Table}
		if len(f.records[k.Name]) > 0 {
			at := f.records[k.Name][0].Cursor().Time.Add(24 * time.Hour)
			t.Bytes, t.Next = 1<<20, &store.Drop{Partition: k.Table + "_p1", To: at, At: at, Bytes: 1 << 19, Size: k.Name == "http"}
		}
		out.Tables = append(out.Tables, t)
	}
	return out, nil
}

func (f *fakeTraffic) KindInfos(context.Context) ([]store.KindInfo, error) {
	keep := store.DefaultRetention()
	var out []store.KindInfo
	for _, k := range store.Kinds() {
		info := store.KindInfo{Kind: k, Keep: keep.Of(k)}
		if rows := f.records[k.Name]; len(rows) > 0 {
			n := int64(len(rows))
			info.Rows, info.LastHour, info.Bytes = 90*n, n, 20_000*n
			info.Newest, info.Oldest = rows[0].Cursor().Time, rows[n-1].Cursor().Time
		}
		out = append(out, info)
	}
	return out, nil
}

func (f *fakeTraffic) Records(_ context.Context, q store.RecordQuery) ([]store.Record, error) {
	f.note(q)
	rows := f.records[q.Kind]
	return rows[:min(q.Limit, len(rows))], nil
}

func (f *fakeTraffic) Gaps(context.Context, network.TapID, int) ([]store.Gap, error) {
	return f.gaps, nil
}

func (f *fakeTraffic) see(name string) {
	f.mu.Lock()
	f.names = append([]store.Name{{Name: name, First: time.Now(), Last: time.Now(), Count: 1}}, f.names...)
	f.mu.Unlock()
	f.ring()
}

// fakeTaps knows taps.
type fakeTaps struct {
	taps []ingest.TapInfo
	did  []string
}

// TenantUses says that each tap of a tenant takes a MiB of flows.
func (f *fakeTaps) TenantUses(context.Context) ([]store.TenantUse, error) {
	var out []store.TenantUse
	for _, t := range f.taps {
		if t.Tenant == "" {
			continue
		}
		out = append(out, store.TenantUse{Tenant: t.Tenant, Taps: 1, Bytes: 1 << 20, MaxBytes: 3 << 20, Kinds: []store.TenantKind{
			{Kind: "flows", Bytes: 1 << 20, Keep: 72 * time.Hour, Next: &store.Drop{At: time.Date(2026, 1, 2, 3, 4, 0, 0, time.UTC)}}}})
	}
	return out, nil
}

func (f *fakeTaps) Taps(context.Context) ([]ingest.TapInfo, error) { return f.taps, nil }

func (f *fakeTaps) AddTapOf(_ context.Context, tenant, name string, _ time.Duration) (string, error) {
	if name == "office" {
		return "", errs.New(errs.Conflict, "there is a tap %q already", name)
	}
	f.did = append(f.did, "add "+name+" of "+tenant)
	return "rindtap_abc_secret", nil
}

func (f *fakeTaps) known(name, verb string) error {
	if !slices.ContainsFunc(f.taps, func(t ingest.TapInfo) bool { return string(t.Name) == name && t.Revoked == nil }) {
		return errs.New(errs.NotFound, "there is no tap %q", name)
	}
	f.did = append(f.did, verb+" "+name)
	return nil
}

func (f *fakeTaps) RotateTap(_ context.Context, name string, _ time.Duration) (string, error) {
	return "rindtap_abc_another", f.known(name, "rotate")
}

func (f *fakeTaps) RevokeTap(_ context.Context, name string) error { return f.known(name, "revoke") }

// hostile is what a host or a packet may put where a name belongs.
const hostile = `<script>alert(1)</script>"' onload=x {{.}} {{template "frame"}}` + "\x00\x1b[2J\u202egnp.exe\xff"

func raw(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }

func cursorText(f store.Flow) string { return fmt.Sprintf("%d.%d", f.Start.UnixMicro(), f.ID) }
