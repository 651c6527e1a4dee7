package server

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/rind-project/rind/internal/access"
)

// Everybody may ask which check fails, balancers above all; why is told to
// people and programs that are known, and on the socket.
func TestReadyzTellsWhyToThoseWhoAreKnown(t *testing.T) {
	t.Parallel()
	r := start(t, testConfig(dataDir(t)))
	r.addUser(t, "walk-viewer", access.Viewer)
	session := r.login(t, "walk-viewer")
	r.checks.Add("storage", func(context.Context) error { return errors.New("dialling db.internal as rind") })
	for name, test := range map[string]struct {
		base, token string
		cookie      *http.Cookie
		why         bool
	}{
		"nobody":        {base: r.URL()},
		"a wrong token": {base: r.URL(), token: "rind_x_y"},
		"a tap":         {base: r.URL(), token: r.addTap(t, "edge")},
		"a viewer":      {base: r.URL(), token: r.token(t, access.Viewer), why: true},
		"a session":     {base: r.URL(), cookie: session, why: true},
		"the socket":    {base: "http://" + socketHost, why: true},
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, test.base+"/readyz", nil)
		if err != nil {
			t.Fatal(err)
		}
		if test.token != "" {
			req.Header.Set("Authorization", "Bearer "+test.token)
		}
		if test.cookie != nil {
			req.AddCookie(test.cookie)
		}
		a := r.send(t, req)
		if a.status != http.StatusServiceUnavailable || !strings.Contains(a.body, `"name":"storage","ok":false`) {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
		if why := strings.Contains(a.body, "db.internal"); why != test.why {
			t.Errorf("%s is told %s", name, a.body)
		}
	}
}
