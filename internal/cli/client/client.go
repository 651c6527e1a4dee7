// Package client speaks to a server's API for the command line: over the
// server's unix socket on the same machine, or over HTTPS with a token.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync/atomic"

	"github.com/rind-project/rind/internal/api/wire"
)

// maxAnswer bounds an answer that is not a stream.
const maxAnswer = 256 << 20

// Client asks a server, or when that one does not answer another one of the
// same fleet. Open makes one.
type Client struct {
	base  string // "https://host:8443" or "http://rind"
	token string
	where string // for messages: the URL, or the path of the socket
	http  *http.Client

	others []*Client    // of the same fleet
	last   atomic.Int64 // index of the one that answered: 0 is this one
}

// Where names the server that answered last, for messages.
func (c *Client) Where() string { return c.servers()[0].where }

// Error is a server's refusal.
type Error struct {
	Status int
	wire.ErrorDetail
}

// Error returns the server's message.
func (e *Error) Error() string { return e.Message }

// Kind returns the stable word of the server's refusal in the chain, or "".
func Kind(err error) string {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.ErrorDetail.Kind
	}
	return ""
}

// Get asks for a path under /api/v1 with a query and decodes the answer.
func (c *Client) Get(ctx context.Context, path string, query url.Values, out any) error {
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	return c.Send(ctx, http.MethodGet, path, nil, out)
}

// Post sends a body, which may be nil, and decodes the answer into out, which
// may be nil.
func (c *Client) Post(ctx context.Context, path string, in, out any) error {
	return c.Send(ctx, http.MethodPost, path, in, out)
}

// Delete asks for the removal of what the path names.
func (c *Client) Delete(ctx context.Context, path string) error {
	return c.Send(ctx, http.MethodDelete, path, nil, nil)
}

// Send sends a body by any method, and decodes the answer unless out is nil.
func (c *Client) Send(ctx context.Context, method, path string, in, out any) error {
	res, err := c.sendAny(ctx, method, path, in, "application/json")
	if err != nil {
		return err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return c.explain(err)
	}
	if out == nil || res.StatusCode == http.StatusNoContent {
		return nil
	}
	if err := json.Unmarshal(body, out); err != nil {
		return fmt.Errorf("%s answered with something else than this API's JSON (%w); is it a Rind server, of the same version?", c.where, err)
	}
	return nil
}

// sendOne sends a request to this server and returns a successful answer, else
// an error.
func (c *Client) sendOne(ctx context.Context, method, path string, in any, accept string) (*http.Response, error) {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return nil, fmt.Errorf("encoding the request: %w", err)
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+"/api/v1"+path, body)
	if err != nil {
		return nil, fmt.Errorf("making the request: %w", err)
	}
	req.Header.Set("Accept", accept)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return c.do(req)
}

// do sends a request as the caller, and returns a successful answer.
func (c *Client) do(req *http.Request) (*http.Response, error) {
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, c.explain(err)
	}
	if res.StatusCode/100 != 2 {
		defer res.Body.Close()
		return nil, c.refusal(res)
	}
	return res, nil
}

// refusal reads the error of an answer.
func (c *Client) refusal(res *http.Response) error {
	body, _ := io.ReadAll(io.LimitReader(res.Body, 64<<10)) // a cut body is told below
	var e wire.Error
	if json.Unmarshal(body, &e) != nil || e.Error.Message == "" {
		return fmt.Errorf("%s answered %s, not as a Rind server does; check the address", c.where, res.Status)
	}
	if res.StatusCode == http.StatusUnauthorized {
		e.Error.Message += " (log in with: rind login " + c.loginHint() + ")"
	}
	return &Error{Status: res.StatusCode, ErrorDetail: e.Error}
}

func (c *Client) loginHint() string {
	if c.token != "" {
		return c.base + " --token-stdin"
	}
	return "https://HOST:8443 --token-stdin"
}
