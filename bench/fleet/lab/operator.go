package lab

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"path/filepath"
	"strconv"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"github.com/rind-project/rind/internal/api/wire"
	"github.com/rind-project/rind/internal/base/pki"
	"github.com/rind-project/rind/internal/cli/client"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/bus"
	"github.com/rind-project/rind/internal/fleet/bus/keystore"
)

// Operator speaks to the API as the command line does.
type Operator struct {
	Limit    time.Duration // of a job
	Accepted time.Duration // how long the last Run waited until the job was written down and sent
	c        *client.Client
}

// NewOperator opens the socket of a server.
func NewOperator(ctx context.Context, s *Server) (*Operator, error) {
	c, err := client.Open(ctx, client.Target{Sockets: []string{s.Socket}})
	return &Operator{Limit: 3 * time.Minute, c: c}, err
}

// Send sends a job and returns when it is accepted.
func (o *Operator) Send(ctx context.Context, target, function string, args ...string) (fleet.Job, error) {
	var j fleet.Job
	err := o.c.Post(ctx, "/jobs", wire.JobIn{Target: target, Function: function, Args: args, Timeout: wire.Span(o.Limit)}, &j)
	return j, err
}

// SendUntil sends a job that peels may still get for so long when they come
// back.
func (o *Operator) SendUntil(ctx context.Context, target string, life time.Duration, function string, args ...string) (fleet.Job, error) {
	var j fleet.Job
	var expires wire.Later
	if err := expires.UnmarshalText([]byte(life.String())); err != nil {
		return j, err
	}
	err := o.c.Post(ctx, "/jobs", wire.JobIn{Target: target, Function: function, Args: args, Timeout: wire.Span(life), Expires: expires}, &j)
	return j, err
}

// Follow follows a job to its end, as `rind run` does: every return comes over
// the stream, and then the job.
func (o *Operator) Follow(ctx context.Context, j fleet.Job) (fleet.Job, int, error) {
	seen := map[fleet.PeelID]bool{}
	err := o.c.Events(ctx, "/jobs/"+j.JID+"/events", func(e client.Event) (bool, error) {
		switch e.Name {
		case "return":
			// It shares the machine, so that it looks for the name only.
			if _, rest, found := bytes.Cut(e.Data, []byte(`"peel":"`)); found {
				name, _, _ := bytes.Cut(rest, []byte(`"`))
				seen[fleet.PeelID(name)] = true
			}
		case "done":
			return false, json.Unmarshal(e.Data, &j)
		}
		return true, nil
	})
	return j, len(seen), err
}

// Run sends a job and follows it. Everybody has to answer well.
func (o *Operator) Run(ctx context.Context, want int, function string, args ...string) (time.Duration, fleet.Job, error) {
	began := time.Now()
	j, err := o.Send(ctx, "*", function, args...)
	if err != nil {
		return 0, j, err
	}
	o.Accepted = time.Since(began)
	j, returns, err := o.Follow(ctx, j)
	took := time.Since(began)
	if err != nil {
		return took, j, err
	}
	if s := j.Summary; s.Targeted != want || s.Answered != want || s.Failed != 0 || s.Missing != 0 || returns != want {
		return took, j, fmt.Errorf("%s on %d peels: %d targeted, %d answered, %d failed, %d missing, %d returns shown",
			function, want, s.Targeted, s.Answered, s.Failed, s.Missing, returns)
	}
	return took, j, nil
}

// Layer makes or replaces a layer of settings for all peels.
func (o *Operator) Layer(ctx context.Context, name, yaml string) error {
	return o.c.Send(ctx, "PUT", "/settings/layers/"+name, wire.LayerIn{Target: "*", Data: yaml}, nil)
}

// Show reads a job with the returns that are stored.
func (o *Operator) Show(ctx context.Context, jid string) (wire.JobOut, error) {
	var out wire.JobOut
	err := o.c.Get(ctx, "/jobs/"+jid, nil, &out)
	return out, err
}

// Connected counts the peels that the master says are connected, by reading
// the list of all.
func (o *Operator) Connected(ctx context.Context) (int, error) {
	n, after := 0, ""
	for {
		var page wire.PeelsOut
		if err := o.c.Get(ctx, "/peels", url.Values{"limit": {"1000"}, "after": {after}}, &page); err != nil {
			return n, err
		}
		for _, p := range page.Peels {
			if p.Presence == fleet.Connected {
				n++
			}
		}
		if after = page.Next; after == "" {
			return n, nil
		}
	}
}

// AwaitConnected waits until the master counts so many, and returns how long
// that took.
func (o *Operator) AwaitConnected(ctx context.Context, want int) (time.Duration, error) {
	began := time.Now()
	for {
		n, err := o.Connected(ctx)
		if n == want {
			return time.Since(began), nil
		}
		select {
		case <-ctx.Done():
			return time.Since(began), fmt.Errorf("the master counts %d of %d (%w)", n, want, err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// Account is the fleet's account key, which signs what the raw rounds need.
func Account(s *Server) (nkeys.KeyPair, error) {
	store, err := keystore.Open(filepath.Join(s.Dir, "keys"))
	if err != nil {
		return nil, err
	}
	return store.NKey("account", nkeys.PrefixByteAccount)
}

// Connect connects to the bus with every right in the fleet's account.
func Connect(ctx context.Context, s *Server) (*nats.Conn, error) {
	account, err := Account(s)
	if err != nil {
		return nil, err
	}
	user, err := nkeys.CreateUser()
	if err != nil {
		return nil, err
	}
	public, err := user.PublicKey()
	if err != nil {
		return nil, err
	}
	claims := jwt.NewUserClaims(public)
	claims.Name = "bench"
	token, err := claims.Encode(account)
	if err != nil {
		return nil, err
	}
	ca, err := pki.OpenCA(filepath.Join(s.Dir, "pki"))
	if err != nil {
		return nil, err
	}
	tlsConfig, err := pki.PoolTLS(ca.CertPEM())
	if err != nil {
		return nil, err
	}
	return bus.Connect(ctx, bus.ConnConfig{URLs: []string{"tls://" + s.Bus}, TLS: tlsConfig, Name: "bench", Once: true,
		JWT: func() (string, error) { return token, nil }, Sign: user.Sign})
}

// Consumers counts the JetStream consumers of all streams.
func Consumers(nc *nats.Conn) (int, error) {
	js, err := nc.JetStream()
	if err != nil {
		return 0, err
	}
	n := 0
	for info := range js.Streams() {
		n += info.State.Consumers
	}
	if n == 0 {
		return 0, fmt.Errorf("no stream told of a consumer, and masters have some: %s", strconv.Quote(nc.ConnectedUrl()))
	}
	return n, nil
}
