package server

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/base/database/databasetest"
)

// TestMoveDatabase takes a server with people, hosts, taps and traffic from
// SQLite to PostgreSQL and back: everything that was there is there, and a
// report that was taken before is a duplicate.
func TestMoveDatabase(t *testing.T) {
	t.Parallel()
	where := databasetest.URL(t, database.PostgreSQL)
	lite := testConfig(dataDir(t))
	first := start(t, lite)
	first.enroll(t, "web-01")
	token := first.addTap(t, "walker")
	if got := first.deliver(t, token); !strings.Contains(got, "committed") {
		t.Fatalf("the report: %s", got)
	}
	var out, errOut bytes.Buffer
	if err := moveDatabase(t.Context(), lite, where, "table", &out, &errOut); err == nil || !strings.Contains(err.Error(), "another server runs") {
		t.Errorf("moving under a running server: %v", err)
	}
	stop(t, first.Server)
	if err := moveDatabase(t.Context(), lite, "mysql://x", "table", &out, &errOut); err == nil || !strings.Contains(err.Error(), "postgres://user@host/name") {
		t.Errorf("moving to something else: %v", err)
	}
	if err := moveDatabase(t.Context(), lite, where, "table", &out, &errOut); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "database:") || !strings.Contains(out.String(), "flows") {
		t.Errorf("it says %s", out.String())
	}

	moved := lite
	moved.Database.URL = where
	second := start(t, moved)
	if got := second.deliver(t, token); !strings.Contains(got, "duplicate") {
		t.Errorf("the report again: %s", got)
	}
	if n := second.flows(t); n != 3 {
		t.Errorf("%d flows, want 3", n)
	}
	if peels := second.peels(t); len(peels) != 1 || second.FirstPassword() != "" {
		t.Errorf("the peels are %v, a first administrator was made is %v", peels, second.FirstPassword() != "")
	}
	other := lite
	other.DataDir = dataDir(t)
	other.Database.URL = where
	if err := moveDatabase(t.Context(), other, "sqlite", "table", &out, &errOut); err == nil || !strings.Contains(err.Error(), "servers use this database") {
		t.Errorf("moving from under another machine's server: %v", err)
	}
	stop(t, second.Server)

	if err := moveDatabase(t.Context(), moved, "sqlite", "table", &out, &errOut); err == nil || !strings.Contains(err.Error(), "put its file elsewhere") {
		t.Errorf("moving over the old file: %v", err)
	}
	if err := os.Rename(filepath.Join(lite.DataDir, "rind.db"), filepath.Join(lite.DataDir, "old.db")); err != nil {
		t.Fatal(err)
	}
	out.Reset()
	if err := moveDatabase(t.Context(), moved, "sqlite", "json", &out, &errOut); err != nil {
		t.Fatal(err)
	}
	var said movedOut
	if err := json.Unmarshal(out.Bytes(), &said); err != nil || said.Rows == 0 || len(said.Tables) == 0 || said.Engine != database.SQLite {
		t.Errorf("in JSON it says %s: %v", out.String(), err)
	}
	third := start(t, lite)
	if got := third.deliver(t, token); !strings.Contains(got, "duplicate") {
		t.Errorf("the report after the way back: %s", got)
	}
	if n := third.flows(t); n != 3 {
		t.Errorf("%d flows after the way back, want 3", n)
	}
}
