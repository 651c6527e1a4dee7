package client

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
)

// sumHeader has the SHA-256 of the bytes in hex, both ways.
const sumHeader = "X-Rind-Sha256"

// PutBytes sends bytes as they are, with their hash, and decodes the answer.
func (c *Client) PutBytes(ctx context.Context, path string, data []byte, sum string, out any) error {
	res, err := c.raw(ctx, http.MethodPut, path, data, sum)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return c.explain(err)
	}
	if err := json.Unmarshal(body, out); err != nil {
		return fmt.Errorf("%s answered with something else than this API's JSON (%w); is it a Rind server, of the same version?", c.where, err)
	}
	return nil
}

// GetBytes asks for bytes, at most limit of them, and returns the hash that
// came with them.
func (c *Client) GetBytes(ctx context.Context, path string, limit int64) (data []byte, sum string, err error) {
	res, err := c.raw(ctx, http.MethodGet, path, nil, "")
	if err != nil {
		return nil, "", err
	}
	defer res.Body.Close()
	data, err = io.ReadAll(io.LimitReader(res.Body, limit+1))
	if err != nil {
		return nil, "", c.explain(err)
	}
	if int64(len(data)) > limit {
		return nil, "", fmt.Errorf("%s answered with over %d bytes", c.where, limit)
	}
	return data, res.Header.Get(sumHeader), nil
}

func (c *Client) raw(ctx context.Context, method, path string, data []byte, sum string) (*http.Response, error) {
	var body io.Reader
	if method == http.MethodPut {
		body = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+"/api/v1"+path, body)
	if err != nil {
		return nil, fmt.Errorf("making the request: %w", err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/octet-stream")
		req.Header.Set(sumHeader, sum)
	}
	return c.do(req)
}
