package enroll

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"math/rand/v2"
	"net"
	"net/url"
	"slices"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet"
)

// errRejected is what a peel gets whose enrollment was rejected.
var errRejected = errors.New("rejected")

// Bounds of a renewal.
const (
	maxServers = 4 // that are asked
	serverWait = 20 * time.Second
)

// Renew proves possession of the enrolled key and takes a new permission for
// the bus: at the server of the enrollment or, when that is not reached, at
// another one of the fleet. A revoked peel gets an error of the kind Gone.
func (i *Identity) Renew(ctx context.Context) error {
	var first error
	for _, server := range i.servers() {
		err := i.renewAt(ctx, server)
		if err == nil {
			return nil
		}
		if first == nil {
			first = err
		}
		if !elsewhere(err) {
			return err
		}
	}
	return first
}

// elsewhere reports whether another server may do what this one did not.
func elsewhere(err error) bool {
	for _, final := range []errs.Kind{errs.Gone, errs.Forbidden, errs.Conflict, errs.Invalid} {
		if errs.Is(err, final) {
			return false
		}
	}
	return true
}

// servers are where to ask: where it enrolled, and on the hosts of the buses
// that it was told of, by chance, at the same port. Whoever answers there has to
// show the fleet's CA, as the first one did.
func (i *Identity) servers() []string {
	all := []string{i.Server}
	home, err := url.Parse(i.Server)
	if err != nil {
		return all
	}
	i.mu.Lock()
	buses := slices.Clone(i.urls)
	i.mu.Unlock()
	rand.Shuffle(len(buses), func(a, b int) { buses[a], buses[b] = buses[b], buses[a] })
	for _, b := range buses {
		u, err := url.Parse(b)
		if err != nil {
			continue
		}
		other := *home
		other.Host = net.JoinHostPort(u.Hostname(), home.Port())
		if s := other.String(); !slices.Contains(all, s) && len(all) < maxServers {
			all = append(all, s)
		}
	}
	return all
}

func (i *Identity) renewAt(ctx context.Context, server string) error {
	ctx, cancel := context.WithTimeout(ctx, serverWait)
	defer cancel()
	c, err := newClient(server, (&stored{Pin: i.Pin, TLSPin: i.tlsPin}).handshakePin(), i.caFile)
	if err != nil {
		return err
	}
	defer c.close()
	begun, err := c.begin(ctx, BeginRequest{Purpose: ForRenew, ID: i.ID, PublicKey: i.PublicKey(), Time: time.Now()})
	if err != nil {
		return err
	}
	req, err := answerTo(ForRenew, begun, i.ID, i.key, i.Pin)
	if err != nil {
		return err
	}
	var grant Grant
	if err := c.post(ctx, "renew", req, &grant); err != nil {
		return err
	}
	return i.take(grant, server)
}

// handshakePin is the pin to check in the TLS handshake: none where a CA
// vouches for the server, since a proxy may end TLS there.
func (st *stored) handshakePin() string {
	if st.TLSPin {
		return st.Pin
	}
	return ""
}

// take keeps a renewed permission that a server gave.
func (i *Identity) take(g Grant, server string) error {
	st, err := readStored(i.dir)
	if err != nil {
		return err
	}
	if err := st.take(g, server); err != nil {
		return err
	}
	if err := st.write(i.dir); err != nil {
		return err
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.jwt, i.urls = g.JWT, st.BusURLs
	return nil
}

// take checks what a server gave and puts it into the identity. The fleet's
// root key is believed once.
func (st *stored) take(g Grant, server string) error {
	if err := g.verdict(); err != nil {
		return err
	}
	claims, err := jwt.DecodeUserClaims(g.JWT)
	if err != nil {
		return errs.New(errs.Unavailable, "the server gave a permission that cannot be read: %w", err)
	}
	if claims.Name != string(st.ID) {
		return errs.New(errs.Unavailable, "the server gave the permission of %q to %s", truncate(claims.Name), st.ID)
	}
	if len(g.FleetRoot) != ed25519.PublicKeySize || len(g.BusURLs) == 0 || len(g.BusURLs) > 64 || len(g.CAPEM) == 0 {
		return errs.New(errs.Unavailable, "the server's grant lacks the fleet's root key, the bus's address or its CA")
	}
	if st.FleetRoot != nil && !bytes.Equal(st.FleetRoot, g.FleetRoot) {
		return errs.New(errs.Conflict, "the server shows another root key of the fleet than at enrollment; if it was made anew, move this peel's folder away and enroll again")
	}
	urls, err := busURLs(g.BusURLs, server)
	if err != nil {
		return err
	}
	st.State, st.JWT, st.BusURLs, st.CAPEM, st.FleetRoot = Approved, g.JWT, urls, string(g.CAPEM), g.FleetRoot
	return nil
}

// busURLs completes addresses without a host: a server that listens on every
// address is, for this host, where its HTTPS was reached.
func busURLs(given []string, server string) ([]string, error) {
	home, err := url.Parse(server)
	if err != nil {
		return nil, errs.New(errs.Invalid, "the server's address: %w", err)
	}
	urls := make([]string, len(given))
	for i, s := range given {
		u, err := url.Parse(s)
		if err != nil || u.Scheme != "tls" || u.Port() == "" || u.User != nil {
			return nil, errs.New(errs.Unavailable, "the server gave %q as an address of the bus; it has to be like tls://host:4222", truncate(s))
		}
		host := u.Hostname()
		if host == "" {
			host = home.Hostname()
		}
		urls[i] = "tls://" + net.JoinHostPort(host, u.Port())
	}
	return urls, nil
}

// verdict is the error that belongs to a state other than approved or pending.
func (g Grant) verdict() error {
	switch g.State {
	case Approved, Pending:
		return nil
	case Rejected:
		return errs.New(errs.Forbidden, "the enrollment was %w: %s", errRejected, printable(g.Message))
	case Revoked:
		return errs.New(errs.Gone, "the peel is revoked: %s", printable(g.Message))
	case Suspended:
		return errs.New(errs.Forbidden, "the peel is kept off the bus: %s", printable(g.Message))
	}
	return errs.New(errs.Unavailable, "the server answered with the unknown state %q", truncate(string(g.State)))
}

// poll asks how the enrollment stands.
func (j *join) poll(ctx context.Context) (Grant, error) {
	pin := j.st.Pin
	now := time.Now().UTC()
	sig, err := j.key.Sign(PollMessage(now, j.st.ID, j.public, pin))
	if err != nil {
		return Grant{}, err
	}
	var g Grant
	req := PollRequest{ID: j.st.ID, PublicKey: j.public, Time: now, Signature: sig}
	if err := j.client.post(ctx, "poll", req, &g); err != nil {
		return Grant{}, err
	}
	return g, g.verdict()
}

// pollAgain is poll while waiting, when a server that is away for a moment is
// no reason to give up.
func (j *join) pollAgain(ctx context.Context, last Grant) (Grant, error) {
	g, err := j.poll(ctx)
	switch {
	case err == nil:
		return g, nil
	case ctx.Err() != nil:
		return last, nil //nolint:nilerr // the end of waiting is the caller's to tell
	case errs.Is(err, errs.Unavailable), errs.Is(err, errs.RateLimited), errs.Is(err, errs.Internal):
		j.log.Warn("asking whether the enrollment is approved", "error", err)
		return last, nil
	}
	return g, err
}

func (c *client) begin(ctx context.Context, req BeginRequest) (BeginResponse, error) {
	var begun BeginResponse
	if err := c.post(ctx, "begin", req, &begun); err != nil {
		return begun, err
	}
	if len(begun.Nonce) != NonceBytes {
		return begun, errs.New(errs.Unavailable, "the server gave no nonce; is it a Rind server?")
	}
	return begun, nil
}

func (c *client) answer(ctx context.Context, exchange string, p Purpose, begun BeginResponse, id fleet.PeelID, key nkeys.KeyPair, pin string) (AnswerResponse, error) {
	var out AnswerResponse
	req, err := answerTo(p, begun, id, key, pin)
	if err != nil {
		return out, err
	}
	return out, c.post(ctx, exchange, req, &out)
}

func answerTo(p Purpose, begun BeginResponse, id fleet.PeelID, key nkeys.KeyPair, pin string) (AnswerRequest, error) {
	pub, err := key.PublicKey()
	if err != nil {
		return AnswerRequest{}, err
	}
	sig, err := key.Sign(Message(p, begun.Nonce, id, pub, pin))
	return AnswerRequest{Challenge: begun.Challenge, ID: id, PublicKey: pub, Signature: sig}, err
}
