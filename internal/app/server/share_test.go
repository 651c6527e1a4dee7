package server

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/rind-project/rind/internal/access"
	"github.com/rind-project/rind/internal/base/pki"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/basket"
	"github.com/rind-project/rind/internal/fleet/basket/holder"
	"github.com/rind-project/rind/internal/fleet/bus"
	"github.com/rind-project/rind/internal/fleet/enroll"
	"github.com/rind-project/rind/internal/fleet/fleettest"
)

// sharer asks the masters as an enrolled peel does.
func (r *running) sharer(t *testing.T, who *enroll.Identity) *fleettest.Peel {
	t.Helper()
	conf, err := pki.PoolTLS(who.CAPEM)
	if err != nil {
		t.Fatal(err)
	}
	nc, err := bus.Connect(t.Context(), bus.ConnConfig{URLs: []string{"tls://" + r.BusAddr()}, TLS: conf, Once: true,
		InboxPrefix: bus.InboxPrefix(who.ID), JWT: who.UserJWT, Sign: who.Sign})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return fleettest.NewPeel(t, who.ID, who.FleetRoot, nc)
}

// shared lists what hosts share, as the API says it.
func (r *running) shared(t *testing.T) string {
	t.Helper()
	var out struct{ Items []fleet.BasketItem }
	if a := r.call(t, r.token(t, access.Viewer), http.MethodGet, "/basket", nil, &out); a.status != http.StatusOK {
		t.Fatalf("the basket: %d %s", a.status, a.body)
	}
	var all []string
	for _, it := range out.Items {
		all = append(all, string(it.Peel)+"."+it.Name)
	}
	return strings.Join(all, " ")
}

// TestBasketLeavesWithThePeel: what a peel shared goes when it is revoked, and
// is not there for the next one of its name.
func TestBasketLeavesWithThePeel(t *testing.T) {
	t.Parallel()
	cfg := testConfig(dataDir(t))
	cfg.Basket.Rules = []holder.Rule{{Readers: "db", Of: "web", Names: "addr"}}
	r := start(t, cfg)
	web, db := r.sharer(t, r.enroll(t, "web")), r.sharer(t, r.enroll(t, "db"))
	for _, p := range []*fleettest.Peel{web, db} {
		for _, name := range []string{"addr", "port"} {
			if err := basket.Set(t.Context(), p, basket.Put{Name: name, Value: json.RawMessage("1")}); err != nil {
				t.Fatal(err)
			}
		}
	}
	eventually(t, 20*time.Second, "the master knows the new peels", func() bool {
		got, err := basket.Get(t.Context(), db, "*", "addr")
		return err == nil && len(got) == 2
	})
	if _, err := basket.Get(t.Context(), web, "db", "addr"); err == nil {
		t.Error("web reads what no rule allows")
	}
	if got := r.shared(t); got != "db.addr db.port web.addr web.port" {
		t.Errorf("shared is %s", got)
	}
	if a := r.call(t, r.token(t, access.Admin), http.MethodPost, "/enrollments/web/revoke", nil, nil); a.status != http.StatusOK {
		t.Fatalf("revoking: %d %s", a.status, a.body)
	}
	kv, err := r.Server.client.js.KeyValue(t.Context(), bus.Basket)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := kv.Keys(t.Context())
	if err != nil || len(keys) != 2 || r.shared(t) != "db.addr db.port" {
		t.Errorf("the bucket has %v (%v), shared is %s", keys, err, r.shared(t))
	}
	if got, err := basket.Get(t.Context(), db, "*", "addr"); err != nil || len(got) != 1 {
		t.Errorf("db reads %v, %v", got, err)
	}
}

// TestEventsOfAServer: an event of a peel, one of a person, and those of a job
// come through the API, and are there after a restart.
func TestEventsOfAServer(t *testing.T) {
	t.Parallel()
	cfg := testConfig(dataDir(t))
	r := start(t, cfg)
	web := r.sharer(t, r.enroll(t, "web"))
	if _, err := fleettest.Ask(t.Context(), web.NC, bus.EventSubject("web", "disk.full"), []byte(`{"data":{"mount":"/"}}`), 10*time.Second); err != nil {
		t.Fatal(err)
	}
	operator := r.token(t, access.Operator)
	var sent fleet.Event
	if a := r.call(t, operator, http.MethodPost, "/events/send", map[string]any{"name": "deploy.done", "data": 7}, &sent); a.status != http.StatusOK || sent.By != machineAdmin.Name {
		t.Fatalf("sending: %d %s", a.status, a.body)
	}
	if a := r.call(t, operator, http.MethodPost, "/jobs", map[string]any{"target": "web", "function": "test.ping", "timeout": "1s"}, nil); a.status != http.StatusOK {
		t.Fatalf("a job: %d %s", a.status, a.body)
	}
	names := func(r *running, glob string) string {
		t.Helper()
		var out struct{ Events []fleet.Event }
		r.call(t, r.token(t, access.Viewer), http.MethodGet, "/events/list?glob="+url.QueryEscape(glob), nil, &out)
		var all []string
		for _, e := range out.Events {
			all = append(all, e.Name)
		}
		return strings.Join(all, " ")
	}
	const want = "disk.full deploy.done job/created job/done"
	eventually(t, 20*time.Second, want, func() bool { return names(r, "*") == want })
	stop(t, r.Server)
	again := start(t, cfg)
	if got := names(again, "*"); !strings.HasPrefix(got, want) {
		t.Errorf("after a restart: %s", got)
	}
	if got := names(again, "job/*"); !strings.HasPrefix(got, "job/created job/done") {
		t.Errorf("of jobs: %s", got)
	}
}
