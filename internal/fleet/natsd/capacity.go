package natsd

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet/bus"
)

// askStreams asks every server of the cluster how it keeps streams.
const askStreams = "$SYS.REQ.SERVER.PING.JSZ"

// Pace of asking.
const (
	askFirst = 3 * time.Second        // for the first answer
	askMore  = 500 * time.Millisecond // after each one
	waitTell = 10 * time.Second       // between lines in the log while waiting
)

// streams is a server's answer to that.
type streams struct {
	Data struct {
		Disabled bool `json:"disabled"`
		Config   struct {
			Memory int64 `json:"max_memory"`
			Store  int64 `json:"max_storage"`
		} `json:"config"`
		Meta *struct {
			Leader string `json:"leader"`
			Size   int    `json:"cluster_size"`
		} `json:"meta_cluster"`
	} `json:"data"`
}

// Capacity tells how many servers keep streams, and what the smallest of them
// can keep. A server that stands alone states that in its account instead.
func (s *Server) Capacity(ctx context.Context) (bus.Capacity, error) {
	if !s.cfg.Clustered() {
		return bus.Capacity{Servers: 1}, nil
	}
	c, leader, err := s.ask(ctx)
	if err == nil && leader == "" {
		err = errs.New(errs.Unavailable, "the servers that keep streams have no leader")
	}
	return c, err
}

// ask asks the servers, and returns the name of the one that leads. Without it
// the number is that of the servers that answer.
func (s *Server) ask(ctx context.Context) (c bus.Capacity, leader string, err error) {
	answers, err := s.gather(ctx, askStreams)
	if err != nil {
		return c, "", err
	}
	keeping := 0
	for _, msg := range answers {
		var a streams
		if err := json.Unmarshal(msg.Data, &a); err != nil {
			return c, "", fmt.Errorf("reading how a server keeps streams: %w", err)
		}
		if a.Data.Disabled || a.Data.Meta == nil {
			continue
		}
		keeping++
		if a.Data.Meta.Leader != "" {
			leader = a.Data.Meta.Leader
			c.Servers = max(c.Servers, a.Data.Meta.Size)
		}
		c.Store, c.Memory = smaller(c.Store, a.Data.Config.Store), smaller(c.Memory, a.Data.Config.Memory)
	}
	if leader == "" {
		c.Servers = keeping
	}
	return c, leader, nil
}

func smaller(have, next int64) int64 {
	if have == 0 || next < have {
		return next
	}
	return have
}

// systemConnection is the connection of the system account.
func (s *Server) systemConnection(ctx context.Context) (*nats.Conn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.srv == nil {
		return nil, errs.New(errs.Unavailable, "the bus does not run")
	}
	if err := s.connectSystem(ctx); err != nil {
		return nil, err
	}
	return s.system, nil
}

// gather collects what all servers answer to a request of the system account.
func (s *Server) gather(ctx context.Context, subject string) ([]*nats.Msg, error) {
	nc, err := s.systemConnection(ctx)
	if err != nil {
		return nil, err
	}
	inbox := nc.NewInbox()
	answers := make(chan *nats.Msg, 1024)
	sub, err := nc.ChanSubscribe(inbox, answers)
	if err != nil {
		return nil, fmt.Errorf("asking the servers of the cluster: %w", err)
	}
	defer func() { _ = sub.Unsubscribe() }() // fails only when the connection is gone
	if err := nc.PublishRequest(subject, inbox, nil); err != nil {
		return nil, fmt.Errorf("asking the servers of the cluster: %w", err)
	}
	var out []*nats.Msg
	wait := time.NewTimer(askFirst)
	defer wait.Stop()
	for {
		select {
		case msg := <-answers:
			out = append(out, msg)
			wait.Reset(askMore)
		case <-wait.C:
			return out, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// WaitLeader returns when the servers that keep streams have a leader, without
// which nothing can be stored. For that, most of them have to be there.
func (s *Server) WaitLeader(ctx context.Context) error {
	if !s.cfg.Clustered() {
		return nil
	}
	began := time.Now()
	told := began
	for {
		c, leader, err := s.ask(ctx)
		if leader != "" {
			s.deps.Log.Info("the servers that keep streams have a leader", "leader", leader, "servers", c.Servers, "after", time.Since(began).Round(time.Millisecond))
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("waiting for the servers that keep streams: %w", ctx.Err())
		}
		if time.Since(began) >= s.cfg.Cluster.LeaderTimeout {
			return errs.New(errs.Unavailable, "the servers that keep streams have no leader after %s (nats.cluster.leader_timeout): %s%s", s.cfg.Cluster.LeaderTimeout, s.missing(c, err), s.because())
		}
		if time.Since(told) >= waitTell {
			told = time.Now()
			s.deps.Log.Warn("waiting for the servers that keep streams to choose a leader", "since", time.Since(began).Round(time.Second), "state", s.missing(c, err))
		}
		select {
		case <-ctx.Done():
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// missing says what a leader waits for.
func (s *Server) missing(c bus.Capacity, err error) string {
	if err != nil {
		return err.Error()
	}
	routes := 0
	if srv := s.running(); srv != nil {
		routes = srv.NumRemotes()
	}
	return fmt.Sprintf("most of the servers that keep streams have to be there, and %d answer; this server is connected to %d others. Start the others, check nats.cluster.routes and the firewall; in a new cluster one server has to begin, with nats.cluster.routes empty", c.Servers, routes)
}

// ClientURLs are the addresses, host:port, under which clients reach the bus:
// this server's first, and then those of the other servers of its cluster.
func (s *Server) ClientURLs() []string {
	srv := s.running()
	if srv == nil {
		return nil
	}
	v, err := srv.Varz(&server.VarzOptions{})
	if err != nil || len(v.ClientConnectURLs) == 0 {
		return []string{srv.Addr().String()}
	}
	return v.ClientConnectURLs
}
