package apitest

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/enroll"
	"github.com/rind-project/rind/internal/fleet/enroll/registrar"
)

// Enroll is enrollment in memory.
type Enroll struct {
	mu       sync.Mutex
	Records  map[fleet.PeelID]enroll.Record
	Requests []registrar.TokenRequest
	Begun    []enroll.BeginRequest
}

// CreateToken implements api.Enroll.
func (e *Enroll) CreateToken(_ context.Context, req registrar.TokenRequest) (registrar.Token, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.Requests = append(e.Requests, req)
	return registrar.Token{ID: "t1", Secret: "the-secret", Expires: Now.Add(cmp.Or(req.TTL, time.Hour))}, nil
}

// List implements api.Enroll.
func (e *Enroll) List(_ context.Context, state string) ([]enroll.Record, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	var all []enroll.Record
	for _, r := range e.Records {
		if state == "" || string(r.State) == state {
			all = append(all, r)
		}
	}
	slices.SortFunc(all, func(a, b enroll.Record) int { return cmp.Compare(a.ID, b.ID) })
	return all, nil
}

// Show implements api.Enroll.
func (e *Enroll) Show(_ context.Context, id fleet.PeelID) (enroll.Record, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	r, ok := e.Records[id]
	if !ok {
		return r, errs.New(errs.NotFound, "there is no enrollment of %q", id)
	}
	return r, nil
}

func (e *Enroll) decide(id fleet.PeelID, s enroll.State, by string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	r, ok := e.Records[id]
	if !ok {
		return errs.New(errs.NotFound, "there is no enrollment of %q", id)
	}
	if r.State == enroll.Revoked {
		return errs.New(errs.Gone, "the key of %q was revoked", id)
	}
	r.State, r.By, r.Decided = s, by, Now
	e.Records[id] = r
	return nil
}

// Approve implements api.Enroll.
func (e *Enroll) Approve(ctx context.Context, id fleet.PeelID, by string, replace bool) error {
	if r, err := e.Show(ctx, id); err == nil && r.Replaces && !replace {
		return errs.New(errs.Conflict, "the id %s belongs to another key; approve it with --replace", id)
	}
	return e.decide(id, enroll.Approved, by)
}

// Reject implements api.Enroll.
func (e *Enroll) Reject(_ context.Context, id fleet.PeelID, by string) error {
	return e.decide(id, enroll.Rejected, by)
}

// Revoke implements api.Enroll.
func (e *Enroll) Revoke(_ context.Context, id fleet.PeelID, by string) error {
	return e.decide(id, enroll.Revoked, by)
}

// Begin implements api.Enroll.
func (e *Enroll) Begin(_ context.Context, req enroll.BeginRequest, _ netip.Addr) (enroll.BeginResponse, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.Begun = append(e.Begun, req)
	if req.Token != "the-secret" {
		return enroll.BeginResponse{}, errs.New(errs.Unauthorized, "the token is not known")
	}
	return enroll.BeginResponse{Challenge: "c1", Nonce: []byte("nonce"), Time: Now}, nil
}

// Answer implements api.Enroll.
func (e *Enroll) Answer(_ context.Context, req enroll.AnswerRequest, _ netip.Addr) (enroll.AnswerResponse, error) {
	if req.Challenge != "c1" {
		return enroll.AnswerResponse{}, errs.New(errs.Gone, "the challenge has ended")
	}
	return enroll.AnswerResponse{State: enroll.Pending, Time: Now}, nil
}

// Poll implements api.Enroll.
func (e *Enroll) Poll(_ context.Context, req enroll.PollRequest, _ netip.Addr) (enroll.Grant, error) {
	return enroll.Grant{State: enroll.Pending, Time: Now}, nil
}

// Renew implements api.Enroll.
func (e *Enroll) Renew(context.Context, enroll.RenewRequest, netip.Addr) (enroll.Grant, error) {
	return enroll.Grant{}, errs.New(errs.Forbidden, "the key is not approved")
}
