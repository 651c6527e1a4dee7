package client

import (
	"context"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
)

// MaxServers bounds the servers of one login.
const MaxServers = 32

// servers returns this client and those of the other servers, beginning with
// the one that answered last.
func (c *Client) servers() []*Client {
	all := append([]*Client{c}, c.others...)
	from := int(c.last.Load()) % len(all)
	return append(all[from:len(all):len(all)], all[:from]...)
}

// answered notes which server did.
func (c *Client) answered(by *Client) {
	for i, s := range append([]*Client{c}, c.others...) {
		if s == by {
			c.last.Store(int64(i))
		}
	}
}

// sendAny sends a request to one server after the other, until one answers. It
// goes on to the next one when nothing was done at the one before: when the
// request never reached it, or may be repeated and found nobody who could
// answer it.
func (c *Client) sendAny(ctx context.Context, method, path string, in any, accept string) (*http.Response, error) {
	var first error
	for _, s := range c.servers() {
		reached, watched := traced(ctx)
		res, err := s.sendOne(watched, method, path, in, accept)
		if err == nil {
			c.answered(s)
			return res, nil
		}
		if first == nil {
			first = err
		}
		if ctx.Err() != nil {
			return nil, err
		}
		if refusal := Kind(err); refusal != "" && (refusal != "unavailable" || method != http.MethodGet) {
			return nil, err
		}
		if reached.Load() && method != http.MethodGet {
			return nil, err
		}
	}
	return nil, first
}

// traced is a context that tells whether a request made with it was written
// to a connection at all. When the transport tries again by itself, the last
// try counts: it does so only when nothing was done before.
func traced(ctx context.Context) (*atomic.Bool, context.Context) {
	var reached atomic.Bool
	return &reached, httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn:      func(string) { reached.Store(false) },
		WroteHeaders: func() { reached.Store(true) },
	})
}
