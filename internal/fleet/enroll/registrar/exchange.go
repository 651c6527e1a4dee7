package registrar

import (
	"context"
	"net/netip"
	"time"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/enroll"
)

// Begin gives a nonce to a host that brings a good token, or, for a renewal,
// to the key of an approved peel.
func (r *Registrar) Begin(ctx context.Context, req enroll.BeginRequest, addr netip.Addr) (_ enroll.BeginResponse, err error) {
	defer r.count("begin", &err)
	limit := r.begins
	if req.Purpose == enroll.ForRenew {
		limit = r.asks
	}
	if err := limit.allow(addr); err != nil {
		return enroll.BeginResponse{}, err
	}
	if err := req.Validate(); err != nil {
		return enroll.BeginResponse{}, err
	}
	if err := r.checkClock(req.Time); err != nil {
		return enroll.BeginResponse{}, err
	}
	c := challenge{Purpose: enroll.ForRenew, ID: req.ID, PublicKey: req.PublicKey, Hostname: req.Hostname, Version: req.Version}
	if req.Purpose == enroll.ForRenew {
		if _, err := r.approved(ctx, req.ID, req.PublicKey); err != nil {
			return enroll.BeginResponse{}, err
		}
	} else {
		token, err := r.checkToken(ctx, req.Token, req.ID, req.PublicKey)
		if err != nil {
			return enroll.BeginResponse{}, err
		}
		c.Purpose, c.TokenID, c.Auto = enroll.ForJoin, token.id, token.auto
	}
	name, nonce, err := r.newChallenge(ctx, c)
	if err != nil {
		return enroll.BeginResponse{}, err
	}
	return enroll.BeginResponse{Challenge: name, Nonce: nonce, Pin: r.deps.Pin, Time: r.deps.Now()}, nil
}

// Answer takes the signature over the nonce, uses up the token, and records
// the enrollment.
func (r *Registrar) Answer(ctx context.Context, req enroll.AnswerRequest, addr netip.Addr) (_ enroll.AnswerResponse, err error) {
	defer r.count("answer", &err)
	c, err := r.proven(ctx, enroll.ForJoin, req, addr)
	if err != nil {
		return enroll.AnswerResponse{}, err
	}
	rec, err := r.place(ctx, c, addr)
	if err != nil {
		return enroll.AnswerResponse{}, err
	}
	return enroll.AnswerResponse{State: rec.State, Message: message(rec), Time: r.deps.Now()}, nil
}

// Poll tells a host how its enrollment stands, and gives an approved one its
// permission for the bus.
func (r *Registrar) Poll(ctx context.Context, req enroll.PollRequest, addr netip.Addr) (_ enroll.Grant, err error) {
	defer r.count("poll", &err)
	if err := r.asks.allow(addr); err != nil {
		return enroll.Grant{}, err
	}
	if err := req.Validate(); err != nil {
		return enroll.Grant{}, err
	}
	if err := r.checkClock(req.Time); err != nil {
		return enroll.Grant{}, err
	}
	if err := r.verify(req.PublicKey, enroll.PollMessage(req.Time, req.ID, req.PublicKey, r.deps.Pin), req.Signature); err != nil {
		return enroll.Grant{}, err
	}
	rec, err := r.find(ctx, req.ID, req.PublicKey)
	if err != nil {
		return enroll.Grant{}, err
	}
	return r.grant(ctx, rec)
}

// Renew gives an approved peel that answers its nonce a new permission.
func (r *Registrar) Renew(ctx context.Context, req enroll.RenewRequest, addr netip.Addr) (_ enroll.Grant, err error) {
	defer r.count("renew", &err)
	if _, err := r.proven(ctx, enroll.ForRenew, req, addr); err != nil {
		return enroll.Grant{}, err
	}
	rec, err := r.approved(ctx, req.ID, req.PublicKey)
	if err != nil {
		return enroll.Grant{}, err
	}
	return r.grant(ctx, rec)
}

// proven checks an answer against its nonce, which serves once.
func (r *Registrar) proven(ctx context.Context, p enroll.Purpose, req enroll.AnswerRequest, addr netip.Addr) (challenge, error) {
	if err := r.asks.allow(addr); err != nil {
		return challenge{}, err
	}
	if err := req.Validate(); err != nil {
		return challenge{}, err
	}
	c, err := r.takeChallenge(ctx, req.Challenge)
	if err != nil {
		return challenge{}, err
	}
	if c.Purpose != p || c.ID != req.ID || c.PublicKey != req.PublicKey {
		return challenge{}, errs.New(errs.Forbidden, "the nonce was given for something else; begin again")
	}
	return c, r.verify(c.PublicKey, enroll.Message(p, c.Nonce, c.ID, c.PublicKey, r.deps.Pin), req.Signature)
}

func (r *Registrar) verify(publicKey string, msg, signature []byte) error {
	if err := enroll.Verify(publicKey, msg, signature); err != nil {
		return errs.New(errs.Forbidden, "the signature is not the key's over this server's pin %s; if the host saw another pin, somebody is in between, or the server's CA was made anew: %w", r.deps.Pin, err)
	}
	return nil
}

// checkClock refuses a host whose clock is off, and says by how much: its
// permissions and jobs would expire too early or too late.
func (r *Registrar) checkClock(theirs time.Time) error {
	now := r.deps.Now()
	off := theirs.Sub(now)
	if off.Abs() <= enroll.MaxClockOff {
		return nil
	}
	way := "ahead of"
	if off < 0 {
		way = "behind"
	}
	return errs.New(errs.Invalid, "this host's clock is %s %s the server's (here %s, there %s); at most %s are allowed: set it, for instance with timedatectl set-ntp true, and try again",
		off.Abs().Round(time.Second), way, stamp(theirs), stamp(now), enroll.MaxClockOff)
}

// find returns the record that a key has under an id.
func (r *Registrar) find(ctx context.Context, id fleet.PeelID, publicKey string) (enroll.Record, error) {
	cur, next, err := r.slots(ctx, id)
	if err != nil {
		return enroll.Record{}, err
	}
	for _, v := range []versioned{cur, next} {
		if v.found && v.PublicKey == publicKey {
			return v.Record, nil
		}
	}
	if cur.found {
		return enroll.Record{}, errs.New(errs.NotFound, "the id %s belongs to another key; enroll with a new token, then rind enroll approve --replace %s on the server", id, id)
	}
	return enroll.Record{}, errs.New(errs.NotFound, "no enrollment of %s with this key is known", id)
}

// approved is find for those who must be peels.
func (r *Registrar) approved(ctx context.Context, id fleet.PeelID, publicKey string) (enroll.Record, error) {
	rec, err := r.find(ctx, id, publicKey)
	if errs.Is(err, errs.NotFound) {
		return rec, errs.New(errs.Gone, "%w", err)
	}
	if err != nil {
		return rec, err
	}
	switch rec.State {
	case enroll.Approved:
		return rec, nil
	case enroll.Revoked:
		return rec, errs.New(errs.Gone, "%s", message(rec))
	case enroll.Suspended:
		if rec.Suspension.Over(r.deps.Now()) {
			rec.State = enroll.Approved // the loop writes it down in a moment
			return rec, nil
		}
	}
	return rec, errs.New(errs.Forbidden, "%s", message(rec))
}

func (r *Registrar) grant(ctx context.Context, rec enroll.Record) (enroll.Grant, error) {
	g := enroll.Grant{State: rec.State, Message: message(rec), Time: r.deps.Now()}
	if rec.State != enroll.Approved {
		return g, nil
	}
	token, err := r.deps.Issuer.IssuePeel(rec.PublicKey, rec.ID, enroll.JWTLife)
	if err != nil {
		return enroll.Grant{}, err
	}
	g.JWT, g.BusURLs, g.CAPEM, g.FleetRoot = token, r.deps.BusURLs(hostFrom(ctx)), r.deps.CAPEM, r.deps.FleetRoot
	return g, nil
}

// message says to the person at the host how it stands and what to do.
func message(rec enroll.Record) string {
	switch rec.State {
	case enroll.Pending:
		if rec.Replaces {
			return "the id " + string(rec.ID) + " belongs to another key; on the server, rind enroll approve --replace " + string(rec.ID) + " gives it to this host (fingerprint " + rec.Fingerprint + ")"
		}
		return "waiting for rind enroll approve " + string(rec.ID) + " on the server (fingerprint " + rec.Fingerprint + ")"
	case enroll.Rejected:
		return "the enrollment of " + string(rec.ID) + " was rejected by " + rec.By + "; ask there, then enroll again with a new token"
	case enroll.Suspended:
		return suspended(rec)
	case enroll.Revoked:
		return "the key of " + string(rec.ID) + " was revoked by " + rec.By + " at " + stamp(rec.Decided) + " and cannot come back; to enroll this host anew, move its peel folder away and use a new token"
	}
	return ""
}

// hostKey is the context key of the request's host.
type hostKey struct{}

// WithHost says under which host name, without port, the request reached the
// server. Without it Deps.BusURLs is asked for the host "".
func WithHost(ctx context.Context, host string) context.Context {
	return context.WithValue(ctx, hostKey{}, host)
}

func hostFrom(ctx context.Context) string {
	host, _ := ctx.Value(hostKey{}).(string)
	return host
}
