package endpoint

import (
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/rind-project/rind/internal/base/errs"
)

type input struct {
	ID    string   `path:"id"`
	Limit int      `query:"limit" default:"10" min:"1" max:"20"`
	Port  uint16   `query:"port"`
	All   bool     `query:"all"`
	Name  string   `json:"name"`
	Tags  []string `json:"tags,omitempty"`
	Not   string
}

func TestDecode(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest("POST", "/x?all=true&port=65535", strings.NewReader(`{"name":"a","tags":["b"]}`))
	r.Header.Set("Content-Type", "application/json; charset=utf-8")
	r.SetPathValue("id", "7")
	var in input
	if err := Decode(r, &in); err != nil {
		t.Fatal(err)
	}
	if in.ID != "7" || in.Limit != 10 || in.Port != 65535 || !in.All || in.Name != "a" || len(in.Tags) != 1 {
		t.Errorf("got %+v", in)
	}
}

func TestClosest(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{"lmit": "limit", "LIMIT": "limit", "aftr": "after", "zz": "", strings.Repeat("l", 100): ""} {
		if got := closest(name, []string{"limit", "after"}); got != want {
			t.Errorf("closest to %q is %q, want %q", name, got, want)
		}
	}
}

// FuzzDecode checks that a body is either refused as Invalid or TooLarge, or
// is JSON whose every member was known.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{`{"name":"a"}`, `{"name":1}`, `{"name":"a","name":"b"}`, `{"tags":[]}x`, `{`, `[]`, "", `{"x":{}}`, `{"name":"\ud800"}`} {
		f.Add(s, "limit=3")
	}
	f.Fuzz(func(t *testing.T, body, query string) {
		r := httptest.NewRequest("POST", "/x", strings.NewReader(body))
		r.URL.RawQuery = query
		r.Header.Set("Content-Type", "application/json")
		var in input
		if err := Decode(r, &in); err != nil {
			if k := errs.KindOf(err); k != errs.Invalid && k != errs.TooLarge {
				t.Fatalf("%q is refused as %s: %v", body, k, err)
			}
			return
		}
		if in.Limit < 1 || in.Limit > 20 {
			t.Fatalf("limit %d passed", in.Limit)
		}
		if strings.TrimSpace(body) == "" {
			return
		}
		var members map[string]any
		if err := json.Unmarshal([]byte(body), &members); err != nil {
			t.Fatalf("%q was taken: %v", body, err)
		}
		for name := range members {
			if name != "name" && name != "tags" {
				t.Fatalf("member %q was taken", name)
			}
		}
	})
}
