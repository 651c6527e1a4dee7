package ingest

import (
	"bytes"
	"context"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/base/database/databasetest"
	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/network/store"
)

// TestWithoutRights has a node's user lose the right to write: a report is
// answered 503 with the reason, nothing of it is there, and it is taken when the
// right is back.
func TestWithoutRights(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		svc, deny, grant := r.svc, "PRAGMA query_only = ON", "PRAGMA query_only = OFF"
		if r.db.Engine() == database.PostgreSQL {
			var name, dir string
			if err := r.db.QueryRow(t.Context(), "SELECT current_schema(), current_setting('unix_socket_directories')").Scan(&name, &dir); err != nil {
				t.Fatal(err)
			}
			role := "weak_" + name
			do := func(statements ...string) {
				t.Helper()
				for _, text := range statements {
					if _, err := r.db.Exec(context.WithoutCancel(t.Context()), text); err != nil {
						t.Fatal(err)
					}
				}
			}
			do("CREATE ROLE "+role+" LOGIN", "GRANT USAGE ON SCHEMA "+name+" TO "+role, "GRANT ALL ON ALL TABLES IN SCHEMA "+name+" TO "+role)
			t.Cleanup(func() { do("DROP OWNED BY "+role, "DROP ROLE "+role) })
			u := url.URL{Scheme: "postgres", User: url.User(role), Path: "/postgres", RawQuery: url.Values{"host": {dir}, "search_path": {name}}.Encode()}
			weak := databasetest.Reopen(t, database.PostgreSQL, u.String())
			if err := database.Migrate(t.Context(), weak, append(schema(), database.Migration{Name: "test/0001_more", SQL: "CREATE TABLE more (id BIGINT);\n"})); !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), "GRANT CREATE") {
				t.Errorf("who may not make tables is told %v", err)
			}
			var err error
			if svc, err = New(Config{}, Deps{DB: weak, Store: store.New(weak, r.clock), Now: r.clock}); err != nil {
				t.Fatal(err)
			}
			deny, grant = "REVOKE INSERT ON flows FROM "+role, "GRANT INSERT ON flows TO "+role
		}
		exec := func(text string) {
			t.Helper()
			if _, err := r.db.Exec(t.Context(), text); err != nil {
				t.Fatal(err)
			}
		}
		rep := r.report("a", 1)
		before := r.counts(t)
		exec(deny)
		if status, words := post(t, svc, request(r.token, bytes.NewReader(encode(t, rep)))); status != 503 || !strings.Contains(words, "does not let this node write") {
			t.Errorf("without the right it is answered %d %s", status, words)
		}
		if diff := cmp.Diff(before, r.counts(t)); diff != "" {
			t.Errorf("rows (-before +after):\n%s", diff)
		}
		if got := testutil.ToFloat64(svc.metrics.reports.WithLabelValues(denied)); got != 1 {
			t.Errorf("%v reports are counted as refused for want of a right, want 1", got)
		}
		exec(grant)
		if status, words := post(t, svc, request(r.token, bytes.NewReader(encode(t, rep)))); status != 200 || words != committed {
			t.Errorf("with the right it is answered %d %s", status, words)
		}
	})
}
