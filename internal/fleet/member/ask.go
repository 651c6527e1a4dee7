package member

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/base/pki"
)

// Ask brings the token to a server of the fleet, "https://host:8443", and
// returns what it gives. The pin of the fleet's CA is checked before anything
// is said.
func Ask(ctx context.Context, server, pin string, req Request) (Gift, error) {
	var gift Gift
	if err := req.Validate(); err != nil {
		return gift, err
	}
	if _, err := pki.ParsePin(pin); err != nil {
		return gift, err
	}
	u, err := url.Parse(server)
	if err != nil || u.Scheme != "https" || u.Host == "" {
		return gift, errs.New(errs.Invalid, "the server's address %.200q has to be like https://rind.example.net:8443", server)
	}
	body, err := json.Marshal(req)
	if err != nil {
		return gift, fmt.Errorf("writing the request: %w", err)
	}
	post, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+u.Host+"/api/v1/servers/join", bytes.NewReader(body))
	if err != nil {
		return gift, fmt.Errorf("writing the request: %w", err)
	}
	post.Header.Set("Content-Type", "application/json")
	c := &http.Client{
		Timeout:   30 * time.Second,
		Transport: &http.Transport{TLSClientConfig: pki.PinnedTLSFor(pin, u.Hostname())},
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return errors.New("the server sends elsewhere; joining follows no redirect")
		},
	}
	defer c.CloseIdleConnections()
	resp, err := c.Do(post)
	if err != nil {
		if better := pki.Explain(err); better != nil {
			err = better
		}
		return gift, errs.New(errs.Unavailable, "asking %s: %w", u.Host, err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, MaxGift))
	if err != nil {
		return gift, errs.New(errs.Unavailable, "reading the answer of %s: %w", u.Host, err)
	}
	if resp.StatusCode/100 != 2 {
		var answer struct {
			Error struct{ Kind, Message string }
		}
		if json.Unmarshal(data, &answer) != nil || answer.Error.Message == "" {
			return gift, errs.New(errs.Unavailable, "%s answered %s; is that the address of a Rind server of this version?", u.Host, resp.Status)
		}
		return gift, errs.New(errs.ParseKind(answer.Error.Kind), "the server says: %.1000s", answer.Error.Message)
	}
	if err := json.Unmarshal(data, &gift); err != nil {
		return gift, errs.New(errs.Unavailable, "%s did not answer like a Rind server: %w", u.Host, err)
	}
	return gift, gift.Validate()
}
