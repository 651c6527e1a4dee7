package registrar_test

import (
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nkeys"

	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/base/database/databasetest"
	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/enroll"
	"github.com/rind-project/rind/internal/fleet/enroll/registrar"
)

var local = netip.MustParseAddr("192.0.2.1")

// raw is a host that can misbehave: it builds each request itself.
type raw struct {
	t   *testing.T
	w   *world
	id  fleet.PeelID
	key nkeys.KeyPair
	pub string
	pin string
}

func newRaw(t *testing.T, w *world, id fleet.PeelID) *raw {
	t.Helper()
	key, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	pub, err := key.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	return &raw{t: t, w: w, id: id, key: key, pub: pub, pin: w.ca.Pin()}
}

func (h *raw) begin(token string) enroll.BeginRequest {
	return enroll.BeginRequest{Token: token, ID: h.id, PublicKey: h.pub, Hostname: "h", Time: h.w.now()}
}

func (h *raw) sign(p enroll.Purpose, begun enroll.BeginResponse) enroll.AnswerRequest {
	h.t.Helper()
	sig, err := h.key.Sign(enroll.Message(p, begun.Nonce, h.id, h.pub, h.pin))
	if err != nil {
		h.t.Fatal(err)
	}
	return enroll.AnswerRequest{Challenge: begun.Challenge, ID: h.id, PublicKey: h.pub, Signature: sig}
}

func (h *raw) enroll(token string) (enroll.AnswerResponse, error) {
	begun, err := h.w.Begin(h.t.Context(), h.begin(token), local)
	if err != nil {
		return enroll.AnswerResponse{}, err
	}
	return h.w.Answer(h.t.Context(), h.sign(enroll.ForJoin, begun), local)
}

func TestTokenEnrollsOneHostOnly(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, registrar.Migrations(), func(t *testing.T, db *database.DB) {
		w := newWorldWith(t, registrar.DefaultConfig(), db)
		token := w.token(true)
		const hosts = 12
		var wg sync.WaitGroup
		results := make(chan error, hosts)
		var answers []enroll.AnswerRequest
		for i := range hosts {
			h := newRaw(t, w, fleet.PeelID("host-"+string(rune('a'+i))))
			begun, err := w.Begin(t.Context(), h.begin(token), local)
			if err != nil {
				t.Fatal(err)
			}
			answers = append(answers, h.sign(enroll.ForJoin, begun))
		}
		for _, req := range answers {
			wg.Go(func() {
				_, err := w.Answer(t.Context(), req, local)
				results <- err
			})
		}
		wg.Wait()
		won := 0
		for range hosts {
			if err := <-results; err == nil {
				won++
			} else if !errs.Is(err, errs.Gone) {
				t.Error(err)
			}
		}
		recs, err := w.List(t.Context(), "")
		if won != 1 || err != nil || len(recs) != 1 {
			t.Errorf("%d hosts enrolled with one token, %d records (%v)", won, len(recs), err)
		}
	})
}

func TestTokenLimits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, ttl := range []time.Duration{-time.Hour, time.Millisecond, 8 * 24 * time.Hour} {
		_, err := w.CreateToken(t.Context(), registrar.TokenRequest{TTL: ttl})
		refused(t, err, errs.Invalid, "may live")
	}
	tok, err := w.CreateToken(t.Context(), registrar.TokenRequest{})
	if err != nil || time.Until(tok.Expires) > time.Hour || time.Until(tok.Expires) < 59*time.Minute {
		t.Errorf("token %+v, %v", tok, err)
	}
	if len(tok.Secret) > enroll.MaxToken {
		t.Errorf("a token has %d characters", len(tok.Secret))
	}
}

func TestNonceServesOnceAndForItsPurpose(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	h, other := newRaw(t, w, "web-01"), newRaw(t, w, "web-02")
	begin := func() enroll.BeginResponse {
		t.Helper()
		begun, err := w.Begin(t.Context(), h.begin(w.token(true)), local)
		if err != nil {
			t.Fatal(err)
		}
		return begun
	}
	answer := func(req enroll.AnswerRequest) error {
		_, err := w.Answer(t.Context(), req, local)
		return err
	}

	token := w.token(true)
	begun, err := w.Begin(t.Context(), h.begin(token), local)
	if err != nil {
		t.Fatal(err)
	}
	forged := h.sign(enroll.ForJoin, begun)
	forged.Signature[3] ^= 1
	refused(t, answer(forged), errs.Forbidden, "signature")
	refused(t, answer(h.sign(enroll.ForJoin, begun)), errs.Gone, "begin again") // the nonce is gone with the first answer

	refused(t, answer(h.sign(enroll.ForRenew, begin())), errs.Forbidden, "signature")
	stolen := begin()
	asOther := other.sign(enroll.ForJoin, stolen)
	refused(t, answer(asOther), errs.Forbidden, "something else")
	elsewhere := *h
	elsewhere.pin = "sha256:00"
	refused(t, answer(elsewhere.sign(enroll.ForJoin, begin())), errs.Forbidden, "pin")
	_, err = w.Renew(t.Context(), h.sign(enroll.ForRenew, begin()), local)
	refused(t, err, errs.Forbidden, "something else")
	refused(t, answer(h.sign(enroll.ForJoin, enroll.BeginResponse{Challenge: "../../../../etc/passwd0000000000", Nonce: []byte("x")})), errs.Invalid, "begin again")

	if recs, _ := w.List(t.Context(), ""); len(recs) != 0 {
		t.Fatalf("something was recorded: %v", recs)
	}
	// None of this used up the first token.
	if out, err := h.enroll(token); err != nil || out.State != enroll.Approved {
		t.Errorf("with the token of the forged answer: %v, %v", out, err)
	}
	// The answer may have been lost on its way: the same host may ask again.
	if out, err := h.enroll(token); err != nil || out.State != enroll.Approved {
		t.Errorf("the same host again: %v, %v", out, err)
	}
}

func TestPollNeedsTheKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	h, thief := newRaw(t, w, "web-01"), newRaw(t, w, "web-01")
	if _, err := h.enroll(w.token(true)); err != nil {
		t.Fatal(err)
	}
	poll := func(by *raw, pub string, at time.Time) error {
		sig, err := by.key.Sign(enroll.PollMessage(at, "web-01", pub, w.ca.Pin()))
		if err != nil {
			t.Fatal(err)
		}
		_, err = w.Poll(t.Context(), enroll.PollRequest{ID: "web-01", PublicKey: pub, Time: at, Signature: sig}, local)
		return err
	}
	if err := poll(h, h.pub, w.now()); err != nil {
		t.Error(err)
	}
	refused(t, poll(thief, h.pub, w.now()), errs.Forbidden, "signature")
	refused(t, poll(thief, thief.pub, w.now()), errs.NotFound, "--replace web-01")
	refused(t, poll(h, h.pub, w.now().Add(-10*time.Minute)), errs.Invalid, "behind")
}

func TestRateLimitPerAddress(t *testing.T) {
	t.Parallel()
	cfg := registrar.DefaultConfig()
	cfg.BeginRate, cfg.BeginBurst = 0.001, 3
	w := newWorldWith(t, cfg, databasetest.Open(t, database.SQLite, registrar.Migrations()))
	h := newRaw(t, w, "web-01")
	try := func(addr string) error {
		_, err := w.Begin(t.Context(), h.begin("rindenroll_0123456789abcdef_00"), netip.MustParseAddr(addr))
		return err
	}
	for range 3 {
		refused(t, try("2001:db8::1"), errs.Unauthorized, "token")
	}
	refused(t, try("2001:db8::1"), errs.RateLimited, "try again")
	refused(t, try("2001:db8::2"), errs.RateLimited, "try again") // the same /64
	refused(t, try("2001:db8:0:1::1"), errs.Unauthorized, "token")
	refused(t, try("::ffff:192.0.2.9"), errs.Unauthorized, "token")
	refused(t, try("192.0.2.9"), errs.Unauthorized, "token")
	refused(t, try("192.0.2.9"), errs.Unauthorized, "token")
	refused(t, try("192.0.2.9"), errs.RateLimited, "try again") // four from one address, however it is written
}

func TestPendingIsBounded(t *testing.T) {
	t.Parallel()
	cfg := registrar.DefaultConfig()
	cfg.MaxPending = 2
	w := newWorldWith(t, cfg, databasetest.Open(t, database.SQLite, registrar.Migrations()))
	for _, id := range []fleet.PeelID{"a", "b"} {
		if _, err := newRaw(t, w, id).enroll(w.token(false)); err != nil {
			t.Fatal(err)
		}
	}
	token := w.token(false)
	h := newRaw(t, w, "c")
	_, err := h.enroll(token)
	refused(t, err, errs.Unavailable, "rind enroll list")
	if err := w.Reject(t.Context(), "a", "admin"); err != nil {
		t.Fatal(err)
	}
	if _, err := h.enroll(token); err != nil {
		t.Errorf("with room again: %v", err)
	}
}

func TestHostileWords(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	h := newRaw(t, w, "web-01")
	for name, change := range map[string]func(*enroll.BeginRequest){
		"escape":      func(r *enroll.BeginRequest) { r.Hostname = "\x1b[2J" },
		"not utf-8":   func(r *enroll.BeginRequest) { r.Hostname = "\xff" },
		"long":        func(r *enroll.BeginRequest) { r.Version = string(make([]byte, 65)) },
		"no time":     func(r *enroll.BeginRequest) { r.Time = time.Time{} },
		"purpose":     func(r *enroll.BeginRequest) { r.Purpose = "root" },
		"account key": func(r *enroll.BeginRequest) { r.PublicKey = "A" + r.PublicKey[1:] },
		"no key":      func(r *enroll.BeginRequest) { r.PublicKey = "" },
	} {
		req := h.begin(w.token(true))
		change(&req)
		if _, err := w.Begin(t.Context(), req, local); !errs.Is(err, errs.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestKeyHasOneID(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	h := newRaw(t, w, "web-01")
	if _, err := h.enroll(w.token(true)); err != nil {
		t.Fatal(err)
	}
	h.id = "web-02"
	_, err := h.enroll(w.token(true))
	refused(t, err, errs.Conflict, "as web-01 already")
}
