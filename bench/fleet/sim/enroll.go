package sim

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nkeys"

	api "github.com/rind-project/rind/internal/cli/client"

	"github.com/rind-project/rind/internal/api/wire"
	"github.com/rind-project/rind/internal/base/pki"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/enroll"
)

// client speaks the exchanges of an enrollment with a server, over a few
// connections for all peels, where each host has one of its own.
type client struct {
	base, pin string
	http      *http.Client
}

func newClient(server, pin string, conns int) (*client, error) {
	u, err := url.Parse(server)
	if err != nil {
		return nil, err
	}
	cfg, err := pki.ClientTLSFor(u.Hostname(), pin, "")
	if err != nil {
		return nil, err
	}
	return &client{base: server + "/api/v1/enroll/", pin: pin, http: &http.Client{Timeout: time.Minute,
		Transport: &http.Transport{TLSClientConfig: cfg, MaxConnsPerHost: conns, MaxIdleConnsPerHost: conns}}}, nil
}

func (c *client) post(ctx context.Context, exchange string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+exchange, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return err
	}
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("%s: %s: %.300s", exchange, resp.Status, data)
	}
	return json.Unmarshal(data, out)
}

// prove begins an exchange and answers its nonce.
func (c *client) prove(ctx context.Context, p enroll.Purpose, exchange, token string, id fleet.PeelID, key nkeys.KeyPair, out any) error {
	public, err := key.PublicKey()
	if err != nil {
		return err
	}
	var begun enroll.BeginResponse
	if err := c.post(ctx, "begin", enroll.BeginRequest{Purpose: p, Token: token, ID: id, PublicKey: public, Hostname: string(id), Version: "sim", Time: time.Now()}, &begun); err != nil {
		return err
	}
	sig, err := key.Sign(enroll.Message(p, begun.Nonce, id, public, c.pin))
	if err != nil {
		return err
	}
	return c.post(ctx, exchange, enroll.AnswerRequest{Challenge: begun.Challenge, ID: id, PublicKey: public, Signature: sig}, out)
}

// join enrolls one peel: begin, answer, poll.
func (c *client) join(ctx context.Context, id fleet.PeelID, token string) (*identity, enroll.Grant, error) {
	var grant enroll.Grant
	key, err := nkeys.CreateUser()
	if err != nil {
		return nil, grant, err
	}
	var answer enroll.AnswerResponse
	if err := c.prove(ctx, enroll.ForJoin, "answer", token, id, key, &answer); err != nil {
		return nil, grant, err
	}
	public, err := key.PublicKey()
	if err != nil {
		return nil, grant, err
	}
	now := time.Now().UTC()
	sig, err := key.Sign(enroll.PollMessage(now, id, public, c.pin))
	if err != nil {
		return nil, grant, err
	}
	if err := c.post(ctx, "poll", enroll.PollRequest{ID: id, PublicKey: public, Time: now, Signature: sig}, &grant); err != nil {
		return nil, grant, err
	}
	if grant.State != enroll.Approved {
		return nil, grant, fmt.Errorf("the enrollment of %s is %s", id, grant.State)
	}
	i := &identity{id: id, key: key, client: c}
	return i, grant, i.take(grant.JWT)
}

func (c *client) renew(ctx context.Context, i *identity) error {
	var grant enroll.Grant
	if err := c.prove(ctx, enroll.ForRenew, "renew", "", i.id, i.key, &grant); err != nil {
		return err
	}
	return i.take(grant.JWT)
}

// open makes what the grants have in common. Addresses without a host are
// those of the server that was asked.
func (c *client) open(g enroll.Grant) (*shared, error) {
	home, err := url.Parse(c.base)
	if err != nil {
		return nil, err
	}
	s := &shared{CA: g.CAPEM, Root: g.FleetRoot}
	for _, text := range g.BusURLs {
		u, err := url.Parse(text)
		if err != nil {
			return nil, err
		}
		if u.Hostname() == "" {
			u.Host = net.JoinHostPort(home.Hostname(), u.Port())
		}
		s.URLs = append(s.URLs, u.String())
	}
	return s, s.open()
}

// tokens asks the API for a token for each peel.
func tokens(ctx context.Context, socket string, n, parallel int) ([]string, error) {
	c, err := api.Open(ctx, api.Target{Sockets: []string{socket}})
	if err != nil {
		return nil, err
	}
	out := make([]string, n)
	return out, each(n, parallel, func(i int) error {
		var t wire.EnrollTokenOut
		err := c.Post(ctx, "/enroll-tokens", wire.EnrollTokenIn{AutoApprove: true, TTL: wire.Span(2 * time.Hour)}, &t)
		out[i] = t.Token
		return err
	})
}

// each calls fn for 0 … n-1, some at the same time, until one fails.
func each(n, parallel int, fn func(int) error) error {
	var next atomic.Int64
	var failed atomic.Pointer[error]
	var wg sync.WaitGroup
	for range min(parallel, n) {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n && failed.Load() == nil; i = int(next.Add(1)) - 1 {
				if err := fn(i); err != nil {
					failed.CompareAndSwap(nil, &err)
				}
			}
		})
	}
	wg.Wait()
	if err := failed.Load(); err != nil {
		return *err
	}
	return nil
}
