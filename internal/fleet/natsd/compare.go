package natsd

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
)

// Pace of the comparisons with the other servers of a cluster.
const (
	compareEvery = 5 * time.Second
	compareWait  = 300 * time.Millisecond // after the last server's answer
	maxAnswers   = 1024
)

// lookup is where every server answers with its own version of an account.
const lookup = "$SYS.REQ.ACCOUNT.%s.CLAIMS.LOOKUP"

// compareLoop asks the other servers now and again what they state about the
// account. What one of them has published reaches those that are connected just
// then; nats-server's own exchange of folders does not reach the others for
// certain, since a server may answer its own question.
func (s *Server) compareLoop(ctx context.Context) {
	tick := time.NewTicker(compareEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := s.compare(ctx); err != nil && ctx.Err() == nil {
			s.deps.Log.Warn("cannot compare what the servers state about the bus account; trying again", "error", err)
		}
	}
}

// compare is one round. When another server lacks something, or this one does,
// what both know is stated anew to all.
func (s *Server) compare(ctx context.Context) error {
	s.mu.Lock()
	if s.srv == nil {
		s.mu.Unlock()
		return nil
	}
	if err := s.connectSystem(ctx); err != nil {
		s.mu.Unlock()
		return err
	}
	nc, subject := s.system, fmt.Sprintf(lookup, s.account.claims.Subject)
	s.mu.Unlock()
	answers, err := gather(ctx, nc, subject)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.srv == nil {
		return nil
	}
	differ, err := s.takeIn()
	if err != nil {
		return err
	}
	for _, token := range answers {
		theirs, err := s.account.decode(token)
		if err != nil || token == s.account.signed {
			continue // not ours to judge, or the same
		}
		merged := mergeClaims(theirs, s.account.claims)
		differ = differ || !sameClaims(merged, s.account.claims) || !sameClaims(merged, theirs)
		s.account.claims = merged
	}
	if !differ {
		return nil
	}
	s.account.retire()
	if err := s.publish(ctx); err != nil {
		return err
	}
	return s.account.adopt()
}

// gather returns what the servers answer, until none has for a moment.
func gather(ctx context.Context, nc *nats.Conn, subject string) ([]string, error) {
	inbox := nc.NewInbox()
	got := make(chan *nats.Msg, maxAnswers)
	sub, err := nc.ChanSubscribe(inbox, got)
	if err != nil {
		return nil, fmt.Errorf("asking the servers: %w", err)
	}
	defer func() { _ = sub.Unsubscribe() }() // fails only when the connection is gone
	if err := nc.PublishRequest(subject, inbox, nil); err != nil {
		return nil, fmt.Errorf("asking the servers: %w", err)
	}
	var out []string
	wait := time.NewTimer(compareWait)
	defer wait.Stop()
	for {
		select {
		case msg := <-got:
			if len(out) < maxAnswers {
				out = append(out, string(msg.Data))
			}
			wait.Reset(compareWait)
		case <-wait.C:
			return out, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
