package cli_test

import (
	"strings"
	"testing"

	"github.com/rind-project/rind/internal/api/apitest"
)

func TestGroup(t *testing.T) {
	t.Parallel()
	s := apitest.Start(t, nil)
	term := on(t, s)
	golden(t, "group", term.transcript(t,
		[]string{"group", "list"},
		[]string{"group", "set", "web", "web-* and G@os:Debian"},
		[]string{"group", "set", "edge", "N@web and S@10.2.0.0/16", "-o", "json"},
		[]string{"group", "set", "web", "x or N@edge"},
		[]string{"group", "set", "more", "web-* or N@none"},
		[]string{"group", "set", "more", "web-* and G@mem.total>8G"},
		[]string{"group", "set", "a b", "web-*"},
		[]string{"group", "set", "web"},
		[]string{"group", "list"},
		[]string{"group", "list", "-o", "ndjson"},
		[]string{"group", "show", "edge"},
		[]string{"group", "show", "none"},
		[]string{"group", "delete", "web"},
		[]string{"group", "delete", "edge"},
		[]string{"group", "delete", "web"},
		[]string{"group", "delete", "web"},
	))
	trail, err := s.Access.AuditList(t.Context(), 100, "")
	if err != nil {
		t.Fatal(err)
	}
	did := map[string]int{}
	for _, e := range trail {
		if strings.HasPrefix(e.Action, "group.") {
			did[e.Action]++
		}
		if e.Action == "group.set" && e.Object == "web" && e.OK && e.Detail != "web-* and G@os:Debian" {
			t.Errorf("the trail says %+v", e)
		}
	}
	if did["group.set"] != 6 || did["group.delete"] != 4 {
		t.Errorf("the trail has %v", did)
	}
}

func TestGroupCompletion(t *testing.T) {
	t.Parallel()
	s := apitest.Start(t, nil)
	if _, err := s.Groups.Set(t.Context(), "web", "web-*", "anna"); err != nil {
		t.Fatal(err)
	}
	if _, stdout, _ := on(t, s).run(t, "__complete", "group", "show", ""); !strings.Contains(stdout, "web\tweb-*") {
		t.Errorf("%q", stdout)
	}
}
