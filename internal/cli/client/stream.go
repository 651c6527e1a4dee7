package client

import (
	"context"
	"io"
	"net/http"
	"net/url"
)

// Bytes asks for bytes of any number, which the caller reads and closes.
func (c *Client) Bytes(ctx context.Context, path string, query url.Values) (io.ReadCloser, error) {
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	res, err := c.sendAny(ctx, http.MethodGet, path, nil, "application/octet-stream")
	if err != nil {
		return nil, err
	}
	return res.Body, nil
}
