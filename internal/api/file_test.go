package api_test

import (
	"bytes"
	"net/http"
	"strings"
	"testing"

	"github.com/rind-project/rind/internal/access"
	"github.com/rind-project/rind/internal/api/apitest"
	"github.com/rind-project/rind/internal/fleet/blob"
	"github.com/rind-project/rind/internal/fleet/blob/store"
)

// raw asks with a body that is not JSON.
func raw(t *testing.T, s *apitest.Server, token, method, path string, body []byte, sum string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	if sum != "" {
		req.Header.Set("X-Rind-Sha256", sum)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var b bytes.Buffer
	if _, err := b.ReadFrom(res.Body); err != nil {
		t.Fatal(err)
	}
	return res, b.String()
}

func TestChunks(t *testing.T) {
	t.Parallel()
	s := apitest.Start(t, nil)
	op := s.Token(t, access.Operator)
	data := bytes.Repeat([]byte("0123456789abcdef"), (blob.Chunk+1000)/16)
	sum := blob.Sum(data)
	base := "/api/v1/files/" + sum
	do(t, s, request{method: "POST", path: "/api/v1/files", token: op, body: `{"sha256":"` + sum + `","size":` + "525272" + `}`})
	for name, tt := range map[string]struct {
		path string
		body []byte
		sum  string
		want int
	}{
		"damaged":  {base + "/chunks/0", data[:blob.Chunk], blob.Sum([]byte("x")), 400},
		"too long": {base + "/chunks/0", data, "", 413},
		"number":   {base + "/chunks/-1", data[:10], "", 400},
		"no file":  {"/api/v1/files/" + emptySum + "/chunks/0", nil, "", 404},
	} {
		if res, body := raw(t, s, op, "PUT", tt.path, tt.body, tt.sum); res.StatusCode != tt.want || !strings.Contains(body, `"error"`) {
			t.Errorf("%s: %s %s", name, res.Status, body)
		}
	}
	if res, body := raw(t, s, op, "PUT", base+"/chunks/0", data[:blob.Chunk], blob.Sum(data[:blob.Chunk])); res.StatusCode != 200 || !strings.Contains(body, `{"next":1,"chunks":2,"complete":false}`) {
		t.Errorf("%s %s", res.Status, body)
	}
	raw(t, s, op, "PUT", base+"/chunks/1", data[blob.Chunk:], "")
	if res, body := do(t, s, request{method: "POST", path: base + "/complete", token: op}); res.StatusCode != 204 {
		t.Errorf("%s %s", res.Status, body)
	}
	if got, ok := s.Files.Get(store.People, sum); !ok || !bytes.Equal(got, data) {
		t.Errorf("%d bytes are there, %v", len(got), ok)
	}
}

// TestFilesOfPeels: what a peel brought is read under its id only, by
// operators, and its end is in the trail.
func TestFilesOfPeels(t *testing.T) {
	t.Parallel()
	s := apitest.Start(t, nil)
	admin := s.Token(t, access.Admin)
	data := []byte("hello\x00\xff")
	p := s.Files.Keep(store.OfPeel("web-01"), "/etc/motd", data)
	of := func(id string) string { return "/api/v1/peels/" + id + "/files/" + p.SHA256 }
	res, body := raw(t, s, admin, "GET", of("web-01")+"/chunks/0", nil, "")
	if res.StatusCode != 200 || body != string(data) || res.Header.Get("X-Rind-Sha256") != p.SHA256 || res.Header.Get("Content-Type") != "application/octet-stream" {
		t.Errorf("%s %q %v", res.Status, body, res.Header)
	}
	for _, id := range []string{"web-02", "%20", "WEB-01"} {
		if res, body := raw(t, s, admin, "GET", of(id)+"/chunks/0", nil, ""); res.StatusCode/100 != 4 {
			t.Errorf("as %s: %s %q", id, res.Status, body)
		}
	}
	if res, _ := raw(t, s, s.Token(t, access.Viewer), "GET", of("web-01")+"/chunks/0", nil, ""); res.StatusCode != 403 {
		t.Errorf("a viewer: %s", res.Status)
	}
	if res, body := do(t, s, request{method: "DELETE", path: of("web-02"), token: admin}); res.StatusCode != 404 {
		t.Errorf("%s %s", res.Status, body)
	}
	checkTrail(t, s, admin, "file.delete", "web-02", false)
	if res, body := do(t, s, request{method: "DELETE", path: of("web-01"), token: admin}); res.StatusCode != 204 {
		t.Errorf("%s %s", res.Status, body)
	}
	checkTrail(t, s, admin, "file.delete", "web-01", true)
}
