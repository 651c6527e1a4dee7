package master_test

import (
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/bus"
	"github.com/rind-project/rind/internal/fleet/fleettest"
	"github.com/rind-project/rind/internal/fleet/job"
	"github.com/rind-project/rind/internal/fleet/peel"
	"github.com/rind-project/rind/internal/fleet/settings"
)

// impostor answers peels that ask for settings, with the rights of a server.
type impostor struct {
	w *world

	mu     sync.Mutex
	answer func(settings.Request) settings.Compiled
}

func newImpostor(w *world) *impostor {
	w.t.Helper()
	i := &impostor{w: w}
	sub, err := w.NC.Subscribe(bus.AskSubject("web", settings.AskGet), func(msg *nats.Msg) {
		req, err := settings.ParseRequest(msg.Data)
		i.mu.Lock()
		defer i.mu.Unlock()
		if err != nil || i.answer == nil {
			bus.Retry(msg, "not yet")
			return
		}
		data, err := json.Marshal(i.answer(req))
		bus.Answer(msg, data, err)
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = sub.Unsubscribe() })
	return i
}

// answers has the peel ask, and answers it so.
func (i *impostor) answers(at int64, fn func(settings.Request) settings.Compiled) {
	i.w.t.Helper()
	i.mu.Lock()
	i.answer = fn
	i.mu.Unlock()
	notice, err := json.Marshal(settings.Notice{Kind: settings.KindNotice, At: at})
	if err == nil {
		err = i.w.NC.Publish(bus.NoticeSubject("web"), notice)
	}
	if err != nil {
		i.w.t.Fatal(err)
	}
}

// compiled makes an answer; with a signer it is signed for a peel and a nonce.
func compiled(t *testing.T, s *job.Signer, id fleet.PeelID, nonce string, at int64, v settings.Values) settings.Compiled {
	t.Helper()
	values, revision, err := settings.Encode(v)
	if err != nil {
		t.Fatal(err)
	}
	c := settings.Compiled{At: at, Revision: revision, Values: values}
	if s == nil {
		return c
	}
	if c.Proof, err = s.Vouch(job.WordSettings, settings.Said(id, nonce, at, values)); err != nil {
		t.Fatal(err)
	}
	return c
}

// TestOwningTheBrokerIsNotConfiguringTheFleet speaks as a server: whatever it
// answers, the peel takes settings that a delegated key has signed for it and
// for its question, and counts the others.
func TestOwningTheBrokerIsNotConfiguringTheFleet(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	keys := w.Bus.FleetKeys()
	forged, err := job.SelfDelegated(newKey(t), newKey(t), time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	past, err := job.SelfDelegated(keys.Root, keys.Master, time.Now().Add(-time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	d, err := job.Delegate(keys.Root, job.Delegation{Key: keys.Master.Public().(ed25519.PublicKey), Scope: "db*", NotAfter: time.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	scoped, err := job.NewSigner(keys.Master, d)
	if err != nil {
		t.Fatal(err)
	}
	evil := settings.Values{"password": "mallory"}
	dir, reg := t.TempDir(), prometheus.NewRegistry()
	i := newImpostor(w)
	p := peel.New(peel.Config{StateDir: dir, ReconnectWait: 100 * time.Millisecond, Settings: peel.SettingsConfig{Jitter: time.Millisecond}},
		peel.Deps{Log: fleettest.Log(), Credentials: w.Enroll("web"), Metrics: reg, Version: "test"})
	if err := p.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, p) })
	fleettest.Eventually(t, "the peel connects", func() error {
		if !p.Connected() {
			return errors.New("it is not connected")
		}
		return nil
	})
	old := "a nonce of an earlier question"
	for n, tt := range []struct {
		name, reason string
		answer       func(settings.Request) settings.Compiled
	}{
		{"unsigned", job.ReasonUnsigned, func(settings.Request) settings.Compiled { return compiled(t, nil, "", "", 1, evil) }},
		{"by another root", job.ReasonSignature, func(r settings.Request) settings.Compiled { return compiled(t, forged, "web", r.Nonce, 1, evil) }},
		{"for another peel", job.ReasonSignature, func(r settings.Request) settings.Compiled { return compiled(t, w.sign, "db", r.Nonce, 1, evil) }},
		{"for an earlier question", job.ReasonSignature, func(settings.Request) settings.Compiled { return compiled(t, w.sign, "web", old, 1, evil) }},
		{"other values", job.ReasonSignature, func(r settings.Request) settings.Compiled {
			c := compiled(t, w.sign, "web", r.Nonce, 1, settings.Values{"password": "good"})
			c.Values, c.Revision, _ = settings.Encode(evil)
			return c
		}},
		{"another state", job.ReasonSignature, func(r settings.Request) settings.Compiled {
			c := compiled(t, w.sign, "web", r.Nonce, 1, evil)
			c.At = 99
			return c
		}},
		{"outside the key's scope", job.ReasonScope, func(r settings.Request) settings.Compiled { return compiled(t, scoped, "web", r.Nonce, 1, evil) }},
		{"after the delegation", job.ReasonDelegation, func(r settings.Request) settings.Compiled { return compiled(t, past, "web", r.Nonce, 1, evil) }},
		{"damaged", job.ReasonMalformed, func(r settings.Request) settings.Compiled {
			c := compiled(t, w.sign, "web", r.Nonce, 1, evil)
			c.Revision = "0011223344556677"
			return c
		}},
	} {
		before := fleettest.Counter(t, reg, "rind_peel_settings_refused_total", tt.reason)
		i.answers(int64(n+1), tt.answer)
		fleettest.Eventually(t, tt.name+" is counted", func() error {
			if now := fleettest.Counter(t, reg, "rind_peel_settings_refused_total", tt.reason); now == before {
				return fmt.Errorf("%s: %v", tt.reason, now)
			}
			return nil
		})
		if _, err := os.Stat(filepath.Join(dir, "settings.json")); !errors.Is(err, fs.ErrNotExist) {
			t.Fatalf("%s: settings were kept: %v", tt.name, err)
		}
	}
	i.answers(100, func(r settings.Request) settings.Compiled {
		return compiled(t, w.sign, "web", r.Nonce, 100, settings.Values{"password": "good"})
	})
	has(t, dir, `{"password":"good"}`)
	// That nothing is new is signed too.
	before := fleettest.Counter(t, reg, "rind_peel_settings_refused_total", job.ReasonUnsigned)
	i.answers(101, func(r settings.Request) settings.Compiled { return settings.Compiled{At: 101, Revision: r.Have} })
	fleettest.Eventually(t, "that nothing is new is not believed", func() error {
		if now := fleettest.Counter(t, reg, "rind_peel_settings_refused_total", job.ReasonUnsigned); now == before {
			return fmt.Errorf("%v", now)
		}
		return nil
	})
	has(t, dir, `{"password":"good"}`)
}
