package natsd

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/bus"
)

// claimsUpdate is where the system account takes a new version of an account.
const claimsUpdate = "$SYS.REQ.CLAIMS.UPDATE"

// IssuePeel signs a permission for a peel's key, by the newest scoped key. The
// id goes unescaped into the subjects of the template, so it is checked here
// again, as the last of all places.
func (s *Server) IssuePeel(pub string, id fleet.PeelID, ttl time.Duration) (string, error) {
	if _, err := fleet.ParsePeelID(string(id)); err != nil {
		return "", errs.New(errs.Invalid, "issuing a permission for the bus: %w", err)
	}
	if !nkeys.IsValidPublicUserKey(pub) {
		return "", errs.New(errs.Invalid, "issuing a permission for %s: %q is no public key of a user", id, pub)
	}
	if ttl <= 0 || ttl > MaxPeelLife {
		return "", errs.New(errs.Invalid, "issuing a permission for %s: it may live up to %s", id, MaxPeelLife)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.keys == nil {
		return "", errs.New(errs.Unavailable, "the bus does not run")
	}
	claims := jwt.NewUserClaims(pub)
	claims.Name = string(id)
	claims.IssuerAccount = public(s.keys.Account)
	claims.Expires = s.deps.Now().Add(ttl).Unix()
	claims.SetScoped(true)
	token, err := claims.Encode(s.keys.Scoped[len(s.keys.Scoped)-1])
	if err != nil {
		return "", fmt.Errorf("signing the permission of %s: %w", id, err)
	}
	return token, nil
}

// ServerUser makes a user of the fleet's account with every right, which can
// connect from this process only.
func (s *Server) ServerUser() (string, func([]byte) ([]byte, error), error) {
	return s.localUser("server", func(k *Keys) nkeys.KeyPair { return k.Account })
}

// SystemUser makes a user of the system account, which sees connections come
// and go. It can connect from this process only.
func (s *Server) SystemUser() (string, func([]byte) ([]byte, error), error) {
	return s.localUser("server-system", func(k *Keys) nkeys.KeyPair { return k.System })
}

func (s *Server) localUser(name string, account func(*Keys) nkeys.KeyPair) (string, func([]byte) ([]byte, error), error) {
	keys := s.FleetKeys()
	if keys == nil {
		return "", nil, errs.New(errs.Unavailable, "the bus does not run")
	}
	user, err := nkeys.CreateUser()
	if err != nil {
		return "", nil, fmt.Errorf("making a key for %s: %w", name, err)
	}
	claims := jwt.NewUserClaims(public(user))
	claims.Name = name
	claims.AllowedConnectionTypes = jwt.StringList{jwt.ConnectionTypeInProcess}
	token, err := claims.Encode(account(keys))
	if err != nil {
		return "", nil, fmt.Errorf("signing the permission of %s: %w", name, err)
	}
	return token, user.Sign, nil
}

// Revoke closes the connections of a key and refuses it from now on. It
// returns when that is written down and the server has applied it.
func (s *Server) Revoke(ctx context.Context, pub string) error {
	if !nkeys.IsValidPublicUserKey(pub) {
		return errs.New(errs.Invalid, "revoking: %q is no public key of a user", pub)
	}
	return s.amend(ctx, func(a *account) bool { return a.revoke(pub) })
}

// Unrevoke lets a revoked key connect again, with a permission issued for it.
func (s *Server) Unrevoke(ctx context.Context, pub string) error {
	return s.amend(ctx, func(a *account) bool { return a.unrevoke(pub) })
}

// amend changes the account, as all servers state it by now, and if that
// changed anything gives it to them.
func (s *Server) amend(ctx context.Context, change func(*account) bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.srv == nil {
		return errs.New(errs.Unavailable, "the bus does not run")
	}
	more, err := s.takeIn()
	if err != nil {
		return err
	}
	if !change(s.account) && !more {
		return nil
	}
	if err := s.publish(ctx); err != nil {
		return err
	}
	return s.account.adopt()
}

// updateError reads the server's answer to a claims update.
func updateError(msg *nats.Msg) error {
	var answer struct {
		Error *struct {
			Code        int    `json:"code"`
			Description string `json:"description"`
		} `json:"error"`
	}
	if err := json.Unmarshal(msg.Data, &answer); err != nil {
		return fmt.Errorf("reading the bus's answer to a changed account: %w", err)
	}
	if answer.Error != nil {
		return fmt.Errorf("the bus refused the changed account: %s", answer.Error.Description)
	}
	return nil
}

// connectSystem opens the connection of the system account. The caller holds
// the lock, so the connection goes to the server itself.
func (s *Server) connectSystem(ctx context.Context) error {
	if s.system != nil {
		return nil
	}
	user, err := nkeys.CreateUser()
	if err != nil {
		return fmt.Errorf("making a key: %w", err)
	}
	claims := jwt.NewUserClaims(public(user))
	claims.Name = "natsd"
	claims.AllowedConnectionTypes = jwt.StringList{jwt.ConnectionTypeInProcess}
	token, err := claims.Encode(s.keys.System)
	if err != nil {
		return fmt.Errorf("signing a permission: %w", err)
	}
	s.system, err = bus.Connect(ctx, bus.ConnConfig{
		Name: "rind-natsd", InProcess: s.srv, Once: true, Log: s.deps.Log,
		JWT: func() (string, error) { return token, nil }, Sign: user.Sign,
	})
	return err
}
