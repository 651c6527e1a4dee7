package server

import (
	"net/http"
	"testing"

	"github.com/rind-project/rind/internal/access"
)

// The trail names the address that a change came from, whichever room wrote
// the entry; on the socket there is none.
func TestAuditTrailNamesTheAddress(t *testing.T) {
	t.Parallel()
	r := start(t, testConfig(dataDir(t)))
	admin := r.token(t, access.Admin)
	if a := r.call(t, admin, http.MethodPost, "/users", map[string]any{"name": "anna", "password": "some words of hers", "role": "viewer"}, nil); a.status >= 300 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, "http://"+socketHost+"/api/v1/users/anna", nil)
	if err != nil {
		t.Fatal(err)
	}
	if a := r.send(t, req); a.status >= 300 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	entries, err := r.people.AuditList(t.Context(), 100, "")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, e := range entries {
		if e.Object == "anna" {
			got[e.Action] = e.Addr.String()
		}
	}
	if got["user.create"] != "127.0.0.1" || got["user.delete"] != "invalid IP" {
		t.Errorf("the addresses are %v", got)
	}
}
