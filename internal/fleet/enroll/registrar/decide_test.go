package registrar_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/bus"
	"github.com/rind-project/rind/internal/fleet/enroll"
)

func out(t *testing.T, gone <-chan struct{}) {
	t.Helper()
	select {
	case <-gone:
	case <-time.After(2 * time.Second):
		t.Fatal("still connected after 2 s")
	}
}

func TestRevoke(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	cfg := w.host("web-01", w.token(true))
	id := w.join(cfg)
	_, gone := w.connect(id)
	if err := w.Revoke(t.Context(), "web-01", "alice"); err != nil {
		t.Fatal(err)
	}
	out(t, gone)
	if diff := cmp.Diff([]fleet.PeelID{"web-01"}, w.forgot); diff != "" {
		t.Errorf("forgotten (-want +got):\n%s", diff)
	}
	refused(t, id.Renew(t.Context()), errs.Gone, "revoked by alice")
	cfg.Token = w.token(true)
	_, err := enroll.Join(t.Context(), cfg)
	refused(t, err, errs.Gone, "move its peel folder away")
	busCfg, err := id.BusConfig(nil)
	if err != nil {
		t.Fatal(err)
	}
	busCfg.Once = true
	if _, err := bus.Connect(t.Context(), busCfg); !errs.Is(err, errs.Unauthorized) {
		t.Errorf("the old permission: %v", err)
	}
	rec, err := w.Show(t.Context(), "web-01")
	if err != nil || rec.State != enroll.Revoked || rec.By != "alice" || rec.Decided.IsZero() {
		t.Errorf("record %+v, %v", rec, err)
	}
	if err := w.Revoke(t.Context(), "web-01", "bob"); err != nil {
		t.Errorf("revoking again: %v", err)
	}
	refused(t, w.Approve(t.Context(), "web-01", "alice", false), errs.Conflict, "enroll again")

	// A new key may ask for the free id, but no token lets it in by itself.
	w.pend(w.host("web-01", w.token(true)))
	if err := w.Approve(t.Context(), "web-01", "alice", false); err != nil {
		t.Errorf("approving the new key: %v", err)
	}
}

func TestReplace(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	old := w.join(w.host("web-01", w.token(true)))
	_, gone := w.connect(old)
	cfg := w.host("web-01", w.token(true))
	w.pend(cfg)

	rec, err := w.Show(t.Context(), "web-01")
	if err != nil || rec.State != enroll.Approved || rec.PublicKey != old.PublicKey() || rec.Next == nil || !rec.Next.Replaces || rec.Next.State != enroll.Pending {
		t.Fatalf("record %+v, %v", rec, err)
	}
	third := newRaw(t, w, "web-01")
	_, err = third.enroll(w.token(true))
	refused(t, err, errs.Conflict, "waits for the id")
	refused(t, w.Approve(t.Context(), "web-01", "alice", false), errs.Conflict, "--replace web-01")
	select {
	case <-gone:
		t.Fatal("the old peel lost its connection before the decision")
	default:
	}

	if err := w.Approve(t.Context(), "web-01", "alice", true); err != nil {
		t.Fatal(err)
	}
	out(t, gone)
	if diff := cmp.Diff([]fleet.PeelID{"web-01"}, w.forgot); diff != "" {
		t.Errorf("forgotten (-want +got):\n%s", diff)
	}
	refused(t, old.Renew(t.Context()), errs.Gone, "another key")
	id := w.join(cfg)
	w.connect(id)
	rec, err = w.Show(t.Context(), "web-01")
	if err != nil || rec.PublicKey != id.PublicKey() || rec.State != enroll.Approved || rec.Next != nil || rec.Replaces {
		t.Errorf("record %+v, %v", rec, err)
	}
	refused(t, w.Approve(t.Context(), "web-01", "alice", true), errs.NotFound, "no other host")
}

func TestReplaceGoesOnWhereItFailed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	old := w.join(w.host("web-01", w.token(true)))
	cfg := w.host("web-01", w.token(false))
	w.pend(cfg)
	w.forgetIt = func(fleet.PeelID) error { return errors.New("no disk") }
	if err := w.Approve(t.Context(), "web-01", "alice", true); err == nil {
		t.Fatal("it went on though nothing was forgotten")
	}
	w.pend(cfg) // the id does not change hands before
	refused(t, old.Renew(t.Context()), errs.Gone, "revoked")
	w.forgetIt = nil
	if err := w.Approve(t.Context(), "web-01", "alice", true); err != nil {
		t.Fatal(err)
	}
	w.connect(w.join(cfg))
}

func TestReject(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	refused(t, w.Reject(t.Context(), "web-01", "alice"), errs.NotFound, "rind enroll list")
	cfg := w.host("web-01", w.token(false))
	w.pend(cfg)
	refused(t, w.Revoke(t.Context(), "web-01", "alice"), errs.Conflict, "rind enroll reject")
	if err := w.Reject(t.Context(), "web-01", "alice"); err != nil {
		t.Fatal(err)
	}
	cfg.Token = ""
	_, err := enroll.Join(t.Context(), cfg)
	refused(t, err, errs.Forbidden, "rejected by alice")
	cfg.Token = w.token(true)
	w.pend(cfg) // a rejected key may ask again, and a person decides
	if err := w.Approve(t.Context(), "web-01", "alice", false); err != nil {
		t.Fatal(err)
	}
	w.join(cfg)
	refused(t, w.Reject(t.Context(), "web-01", "alice"), errs.Conflict, "rind enroll revoke")
}

func TestListAcrossServers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	other := w.registrar(w.dep)
	w.pend(w.host("b", w.token(false)))
	w.join(w.host("a", w.token(true)))
	w.pend(w.host("a", w.token(true)))
	var got []string
	for range 100 {
		recs, err := other.List(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		got = nil
		for _, r := range recs {
			got = append(got, string(r.ID)+" "+string(r.State))
		}
		if len(got) == 3 {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if diff := cmp.Diff([]string{"a approved", "a pending", "b pending"}, got); diff != "" {
		t.Errorf("the other server's list (-want +got):\n%s", diff)
	}
	pending, err := w.List(t.Context(), "pending")
	if err != nil || len(pending) != 2 {
		t.Errorf("pending: %v, %v", pending, err)
	}
	_, err = w.List(t.Context(), "sleeping")
	refused(t, err, errs.Invalid, "pending, approved")
}

// deaf forwards to the real issuer, but loses revocations.
type deaf struct{ w *world }

func (d deaf) IssuePeel(pub string, id fleet.PeelID, ttl time.Duration) (string, error) {
	return d.w.bus.IssuePeel(pub, id, ttl)
}
func (deaf) Revoke(context.Context, string) error   { return errors.New("the power is gone") }
func (deaf) Unrevoke(context.Context, string) error { return nil }
func (deaf) Suspend(context.Context, string) error  { return errors.New("the power is gone") }

func TestStartFinishesARevocation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.join(w.host("web-01", w.token(true)))
	_, gone := w.connect(id)
	deps := w.dep
	deps.Issuer = deaf{w}
	if err := w.registrar(deps).Revoke(t.Context(), "web-01", "alice"); err == nil {
		t.Fatal("a revocation that did not reach the bus was reported as done")
	}
	select {
	case <-gone:
		t.Fatal("the bus knew")
	default:
	}
	w.registrar(w.dep)
	out(t, gone)
}

func TestNotStarted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if err := w.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := w.Stop(t.Context()); err != nil {
		t.Errorf("a second stop: %v", err)
	}
	_, err := w.List(t.Context(), "")
	refused(t, err, errs.Unavailable, "not ready")
	refused(t, w.Approve(t.Context(), "web-01", "alice", false), errs.Unavailable, "not ready")
}
