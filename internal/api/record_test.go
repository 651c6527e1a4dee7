package api_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rind-project/rind/internal/access"
	"github.com/rind-project/rind/internal/api/apitest"
	"github.com/rind-project/rind/internal/api/wire"
	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/record"
	"github.com/rind-project/rind/internal/network/report/reporttest"
	"github.com/rind-project/rind/internal/network/store"
)

// TestEveryKindIsListed shows that the list of kinds leads to a list of each,
// whose rows have the columns that it names.
func TestEveryKindIsListed(t *testing.T) {
	t.Parallel()
	s := apitest.Start(t, nil)
	token := s.Token(t, access.Viewer)
	r := reporttest.New(1, network.Identity{Tap: "office"}, apitest.Now, reporttest.Size{Records: 3})
	s.Network.RecordRows = map[string][]store.Record{}
	for _, k := range record.Kinds() {
		kind, _ := store.FindKind(k.Name)
		for i := range 3 {
			s.Network.RecordRows[k.Name] = append(s.Network.RecordRows[k.Name], store.NewRecord(kind, int64(9-i), "office", k.Rows(&r.Records).Row(i)))
		}
	}
	_, body := do(t, s, request{method: http.MethodGet, path: "/api/v1/records", token: token})
	var out wire.KindsOut
	decode(t, body, &out)
	if len(out.Kinds) != len(store.Kinds()) || len(out.Kinds) < 25 {
		t.Fatalf("%d kinds of %d", len(out.Kinds), len(store.Kinds()))
	}
	for _, k := range out.Kinds {
		if k.Doc == "" || k.Retention < wire.Span(time.Hour) {
			t.Errorf("%s: doc %q, kept for %v", k.Kind, k.Doc, k.Retention)
		}
		res, body := do(t, s, request{method: http.MethodGet, path: k.List + "?limit=2", token: token})
		if res.StatusCode != http.StatusOK {
			t.Errorf("%s: %d %s", k.List, res.StatusCode, body)
		}
		if s.Network.RecordRows[k.Kind] == nil {
			continue
		}
		var page struct {
			Kind    string
			Records []map[string]json.RawMessage
			Next    string
		}
		decode(t, body, &page)
		if page.Kind != k.Kind || len(page.Records) != 2 || page.Next == "" {
			t.Fatalf("%s: %s", k.List, body)
		}
		for _, c := range k.Columns {
			if page.Records[0][c.Name] == nil {
				t.Errorf("%s: the column %s is not in the row %s", k.Kind, c.Name, body)
			}
			if c.Filter == "" {
				continue
			}
			value := map[record.Type]string{record.Addr: "192.0.2.7", record.MAC: "02:00:00:00:00:01", record.Text: "a*", record.Bool: "true"}[c.Type]
			if value == "" {
				value = "7"
			}
			if res, body := do(t, s, request{method: http.MethodGet, path: k.List + "?" + c.Filter + "=" + value, token: token}); res.StatusCode != http.StatusOK || s.Network.RecordQuery.Filters[c.Filter] != value {
				t.Errorf("%s by %s: %d %s", k.Kind, c.Filter, res.StatusCode, body)
			}
		}
		_, body = do(t, s, request{method: http.MethodGet, path: k.List + "?limit=2&before=" + page.Next, token: token})
		page.Next = ""
		decode(t, body, &page)
		if len(page.Records) != 1 || page.Next != "" {
			t.Errorf("the second page of %s is %s", k.Kind, body)
		}
	}
}

func TestRecordsRefuse(t *testing.T) {
	t.Parallel()
	s := apitest.Start(t, nil)
	token := s.Token(t, access.Viewer)
	for query, want := range map[string]string{
		"telepathy":                              "there is no kind of records",
		"flows":                                  "/api/v1/flows",
		"http?path=/":                            "http cannot be filtered by",
		"http?client=ten":                        "is no address",
		"http?host=a&host=b":                     "given 2 times",
		"http?limit=0":                           "from 1 to 1000",
		"http?host=" + strings.Repeat("a", 513):  "over a limit",
		"http?" + strings.Repeat("a", 65) + "=1": "over a limit",
		"http?from=1h&to=2h":                     "the range is empty",
		"http?" + many("a", 33):                  "over a limit",
	} {
		res, body := do(t, s, request{method: http.MethodGet, path: "/api/v1/records/" + query, token: token})
		if e := refusal(t, body); res.StatusCode < 400 || res.StatusCode >= 500 || !strings.Contains(e.Message, want) {
			t.Errorf("%.60s: %d %s, want %q", query, res.StatusCode, body, want)
		}
	}
}

// many makes n parameters.
func many(name string, n int) string {
	var all []string
	for i := range n {
		all = append(all, name+strings.Repeat("x", i)+"=1")
	}
	return strings.Join(all, "&")
}
