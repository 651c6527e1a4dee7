package api_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/rind-project/rind/internal/access"
	"github.com/rind-project/rind/internal/api"
	"github.com/rind-project/rind/internal/api/apitest"
	"github.com/rind-project/rind/internal/api/wire"
	"github.com/rind-project/rind/internal/fleet/basket/holder"
	"github.com/rind-project/rind/internal/fleet/enroll/registrar"
	"github.com/rind-project/rind/internal/fleet/event"
	"github.com/rind-project/rind/internal/fleet/master"
	"github.com/rind-project/rind/internal/network/node"
	"github.com/rind-project/rind/internal/network/store"
)

// What the services export is what the API asks of them.
var (
	_ api.Access  = (*access.Service)(nil)
	_ api.Fleet   = (*master.Master)(nil)
	_ api.Enroll  = (*registrar.Registrar)(nil)
	_ api.Network = (*store.Store)(nil)
	_ api.Taps    = node.Taps{}
	_ api.Basket  = (*holder.Holder)(nil)
	_ api.Events  = (*event.Service)(nil)
)

// request is one call of the API.
type request struct {
	method, path, token, body string
	header                    map[string]string
}

// do sends a request and reads the answer.
func do(t *testing.T, s *apitest.Server, r request) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), r.method, s.URL+r.path, strings.NewReader(r.body))
	if err != nil {
		t.Fatal(err)
	}
	if r.body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if r.token != "" {
		req.Header.Set("Authorization", "Bearer "+r.token)
	}
	for k, v := range r.header {
		req.Header.Set(k, v)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(body)
}

// get asks as a viewer and decodes the answer.
func get[T any](t *testing.T, s *apitest.Server, token, path string) T {
	t.Helper()
	var out T
	res, body := do(t, s, request{method: http.MethodGet, path: path, token: token})
	if res.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %s %s", path, res.Status, body)
	}
	decode(t, body, &out)
	return out
}

func decode(t *testing.T, body string, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(body), into); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
}

// refusal decodes an error, which must have nothing else than its fields.
func refusal(t *testing.T, body string) wire.ErrorDetail {
	t.Helper()
	var e wire.Error
	d := json.NewDecoder(strings.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&e); err != nil || e.Error.Kind == "" || e.Error.Message == "" {
		t.Fatalf("%q is not the form of an error (%v)", body, err)
	}
	return e.Error
}
