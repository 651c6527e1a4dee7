package server

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rind-project/rind/internal/access"
	words "github.com/rind-project/rind/internal/api/wire"
	"github.com/rind-project/rind/internal/base/config"
	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/report/reporttest"
	"github.com/rind-project/rind/internal/network/store"
)

// TestRecordsThroughAServer sends a report with rows of every kind to a whole
// server, as a tap does, and reads each kind back through the API and as a
// page. A kind that lacks a table, a retention, a size, a list or a page fails.
func TestRecordsThroughAServer(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "rind.yaml")
	text := "node:\n  retention:\n    records: 20d\n    kinds:\n      - {kind: http, keep: 7d}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := testConfig(dataDir(t))
	if _, err := config.Load(&cfg, config.Source{File: file, FileRequired: true}); err != nil {
		t.Fatal(err)
	}
	r := start(t, cfg)
	rep := reporttest.New(1, network.Identity{Tap: "office", Boot: reporttest.Boot(1), Sequence: 1}, time.Now(), reporttest.Size{Flows: 3, DNS: 3, TLS: 3, Records: 3})
	rep.Gap = &network.Gap{Boot: reporttest.Boot(2), From: rep.Start.Add(-2 * time.Minute), To: rep.Start}
	r.commit(t, r.addTap(t, "office"), rep)

	viewer := r.token(t, access.Viewer)
	var kinds words.KindsOut
	if a := r.call(t, viewer, http.MethodGet, "/records", nil, &kinds); len(kinds.Kinds) != len(store.Kinds()) {
		t.Fatalf("the kinds are %d %s", a.status, a.body)
	}
	var storage words.StorageOut
	if a := r.call(t, viewer, http.MethodGet, "/storage", nil, &storage); storage.SizeBytes == 0 || storage.DatabaseBytes == 0 {
		t.Errorf("what they take is %d %s", a.status, a.body)
	}
	sizes := map[string]bool{}
	for _, table := range storage.Tables {
		sizes[table.Kind] = table.SizeBytes > 0 && table.Retention > 0 && table.Next != nil
	}
	for _, k := range store.Kinds() {
		if !sizes[k.Name] {
			t.Errorf("%s has no size, or nothing says when it goes", k.Name)
		}
	}
	keep := map[string]time.Duration{"flows": 30 * 24 * time.Hour, "dns": 30 * 24 * time.Hour, "tls": 30 * 24 * time.Hour, "ledgers": 90 * 24 * time.Hour, "gaps": 90 * 24 * time.Hour, "http": 7 * 24 * time.Hour}
	for _, k := range kinds.Kinds {
		want, kept := int64(3), keep[k.Kind]
		if k.Kind == "ledgers" || k.Kind == "gaps" {
			want = 1
		}
		if kept == 0 {
			kept = 20 * 24 * time.Hour
		}
		if k.Rows != want || k.LastHour != want || k.SizeBytes == 0 || time.Duration(k.Retention) != kept || k.Oldest == nil {
			t.Errorf("the kind is %+v, want %d rows that are kept for %s", k, want, kept)
		}
		path, _ := strings.CutPrefix(k.List, "/api/v1")
		if a := r.call(t, viewer, http.MethodGet, path, nil, nil); a.status != http.StatusOK || strings.Count(a.body, `"tap":"office"`) != int(want) {
			t.Errorf("%s is %d %.400s", k.List, a.status, a.body)
		}
		r.page(t, path, viewer)
	}
	r.page(t, "/records", viewer)
}

// page asks for a page as a program may, by a token.
func (r *running) page(t *testing.T, path, token string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.URL()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	a := r.send(t, req)
	if a.status != http.StatusOK || path != "/records" && !strings.Contains(a.body, "office") {
		t.Errorf("the page %s is %d %.300s", path, a.status, a.body)
	}
}
