package natsd

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"

	"github.com/rind-project/rind/internal/base/disk"
	"github.com/rind-project/rind/internal/base/wait"
)

// Pace of the accounts in a cluster.
const (
	askAccountFor = 20 * time.Second       // after the start
	exchangeEvery = 10 * time.Second       // between comparisons of what the servers have
	lookEvery     = 250 * time.Millisecond // between looks at what came from others
)

// storeAccount puts the fleet's account into the folder. What was signed in the
// same second as what is there is the same to the folder, whatever it states
// (its ID is made of who, when and for whom), so that it is signed again then.
func (s *Server) storeAccount(ctx context.Context) error {
	for {
		if err := s.resolver.Store(s.account.claims.Subject, s.account.signed); err != nil {
			return err
		}
		held, err := s.resolver.LoadAcc(s.account.claims.Subject)
		if err != nil || held == s.account.signed {
			return err
		}
		if !s.account.signedWith(held) {
			return nil // it is newer, by a clock that was ahead; follow brings both together
		}
		if !wait.For(ctx, time.Until(time.Unix(s.account.claims.IssuedAt+1, 0))) {
			return ctx.Err()
		}
		if err := s.account.save(); err != nil {
			return err
		}
	}
}

// openResolver opens the folder of accounts that the server asks. The servers
// of a cluster send one another what is new in theirs.
func openResolver(dir string) (*server.DirAccResolver, error) {
	res, err := server.NewDirAccResolver(dir, 16, exchangeEvery, server.NoDelete)
	if err != nil {
		return nil, fmt.Errorf("opening the accounts of the bus: %w", err)
	}
	return res, nil
}

// storeAccounts puts the accounts as they stand now into the folder. The one
// of the system stays as it is when it is there.
func (s *Server) storeAccounts(ctx context.Context) error {
	if err := s.storeAccount(ctx); err != nil {
		return fmt.Errorf("keeping the account: %w", err)
	}
	system := jwt.NewAccountClaims(public(s.keys.System))
	system.Name = "system"
	if held, err := s.resolver.LoadAcc(system.Subject); err == nil {
		old, err := jwt.DecodeAccountClaims(held)
		if err == nil && old.Issuer == public(s.keys.Operator) && sameClaims(old, system) {
			return nil
		}
	}
	token, err := system.Encode(s.keys.Operator)
	if err != nil {
		return fmt.Errorf("signing the system account: %w", err)
	}
	if err := s.resolver.Store(system.Subject, token); err != nil {
		return fmt.Errorf("keeping the system account: %w", err)
	}
	return nil
}

// follow takes in what other servers state about the account, and states again
// what one of them has undone because it did not know of it.
func (s *Server) follow(ctx context.Context) {
	go s.askOthers(ctx)
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := s.merge(ctx); err != nil && ctx.Err() == nil {
			s.deps.Log.Warn("cannot bring together what the servers state about the bus account; trying again", "error", err)
			select {
			case <-ctx.Done():
			case <-time.After(time.Second + rand.N(time.Second)):
			}
		}
	}
}

// askOthers asks the other servers at the start what they state: the resolver
// would do so only at its next comparison, and what was revoked while this
// server was away is not to come in until then.
func (s *Server) askOthers(ctx context.Context) {
	for end := time.Now().Add(askAccountFor); time.Now().Before(end) && ctx.Err() == nil; {
		if err := s.askAccount(ctx); err != nil && ctx.Err() == nil {
			s.deps.Log.Warn("cannot ask the other servers for the bus account", "error", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(lookEvery):
		}
	}
}

func (s *Server) askAccount(ctx context.Context) error {
	answers, err := s.gather(ctx, "$SYS.REQ.ACCOUNT."+public(s.FleetKeys().Account)+".CLAIMS.LOOKUP")
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.srv == nil {
		return nil
	}
	news := false
	for _, msg := range answers {
		theirs, err := s.account.decode(string(msg.Data))
		if err != nil {
			continue // it has none, or none of ours
		}
		merged := mergeClaims(s.account.claims, theirs)
		if sameClaims(merged, s.account.claims) {
			continue
		}
		s.account.claims, news = merged, true
		s.account.retire()
		if err := s.account.adopt(); err != nil {
			return err
		}
	}
	if !news {
		return nil
	}
	return s.publish(ctx)
}

// merge is one round of follow.
func (s *Server) merge(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.srv == nil {
		return nil
	}
	if more, err := s.takeIn(); err != nil || !more {
		return err
	}
	return s.publish(ctx)
}

// takeIn merges what the server's folder has into the account, and reports
// whether the folder lacks something. The caller holds the lock.
func (s *Server) takeIn() (more bool, err error) {
	held, err := s.resolver.LoadAcc(s.account.claims.Subject)
	if err != nil {
		return false, fmt.Errorf("reading the account that the bus has: %w", err)
	}
	if held == s.account.signed {
		return s.account.stale, nil
	}
	theirs, err := s.account.decode(held)
	if err != nil {
		return true, nil //nolint:nilerr // what is no account of ours is replaced
	}
	merged := mergeClaims(theirs, s.account.claims)
	s.account.claims = merged
	s.account.retire()
	if err := s.account.adopt(); err != nil {
		return false, err
	}
	if !sameClaims(merged, theirs) {
		s.account.stale = true
		return true, nil
	}
	s.account.signed, s.account.stale = held, false
	return false, disk.WriteFile(s.account.path, []byte(held))
}

// publish signs the account, writes it to its file, and gives it to all
// servers, in this order: after a crash in between, the next start does the
// rest. The caller holds the lock.
func (s *Server) publish(ctx context.Context) error {
	s.account.stale = true
	if err := s.account.save(); err != nil {
		return err
	}
	if err := s.connectSystem(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	msg, err := s.system.RequestWithContext(ctx, claimsUpdate, []byte(s.account.signed))
	if err != nil {
		return fmt.Errorf("giving the changed account to the bus: %w", err)
	}
	if err := updateError(msg); err != nil {
		return err
	}
	s.account.stale = false
	return nil
}
