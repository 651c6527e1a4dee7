package e2e

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	serverapp "github.com/rind-project/rind/internal/app/server"
	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/base/database/databasetest"
	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/node"
	"github.com/rind-project/rind/internal/network/report/reporttest"
)

// traffic fills a database with what a node commits.
func traffic(t *testing.T, db *database.DB, reports int) {
	t.Helper()
	if err := database.Migrate(t.Context(), db, serverapp.Migrations()); err != nil {
		t.Fatal(err)
	}
	n, err := node.New(node.DefaultConfig(), node.Deps{DB: db})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.Taps().AddTap(t.Context(), "walker", 0); err != nil {
		t.Fatal(err)
	}
	for i := range uint64(reports) {
		r := reporttest.New(i, network.Identity{Tap: "walker", Boot: reporttest.Boot(1), Sequence: i + 1}, time.Now(), reporttest.Size{Flows: 4000, DNS: 1000, TLS: 500})
		if _, err := n.Ingest().Commit(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
}

// sumsOf tells the rows of some tables and what they add up to.
func sumsOf(t *testing.T, db *database.DB) (out string) {
	t.Helper()
	for _, q := range []string{
		`SELECT COUNT(*), CAST(SUM(start_us % 1000003 + src_bytes + src_port) AS BIGINT) FROM flows`,
		`SELECT COUNT(*), CAST(SUM(time_us % 1000003) AS BIGINT) FROM dns_queries`,
		`SELECT COUNT(*), CAST(SUM(time_us % 1000003) AS BIGINT) FROM tls_hellos`,
		`SELECT COUNT(*), CAST(SUM(sequence) AS BIGINT) FROM reports`,
	} {
		var n, sum int64
		if err := db.QueryRow(t.Context(), q).Scan(&n, &sum); err != nil {
			t.Fatal(err)
		}
		out += fmt.Sprintf("%d rows %d; ", n, sum)
	}
	return out
}

// TestMoveThatIsKilled kills `rind database move` again and again, there and
// back, wherever it is; each goes on where the one before was, and in the end
// every row is there once.
func TestMoveThatIsKilled(t *testing.T) {
	t.Parallel()
	lite, where := databasetest.URL(t, database.SQLite), databasetest.URL(t, database.PostgreSQL)
	dir := filepath.Dir(lite)
	db := databasetest.Reopen(t, database.SQLite, lite)
	traffic(t, db, 30)
	want := sumsOf(t, db)
	killMoves(t, dir, "", where)
	if got := sumsOf(t, databasetest.Reopen(t, database.PostgreSQL, where)); got != want {
		t.Errorf("moved: %s, want %s", got, want)
	}
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Rename(lite+suffix, filepath.Join(dir, "old"+suffix)); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
	killMoves(t, dir, where, "sqlite")
	if got := sumsOf(t, databasetest.Reopen(t, database.SQLite, lite)); got != want {
		t.Errorf("moved back: %s, want %s", got, want)
	}
}

// killMoves runs the command and kills it after every few batches, until it
// ends by itself.
func killMoves(t *testing.T, dir, from, to string) {
	t.Helper()
	config := filepath.Join(t.TempDir(), "rind.yaml")
	if err := os.WriteFile(config, []byte(fmt.Sprintf("data_dir: %q\ndatabase:\n  url: %q\n", dir, from)), 0o600); err != nil {
		t.Fatal(err)
	}
	reached, kills := int64(0), 0
	for {
		p := start(t, "", nil, program(t, "rind"), "database", "move", to, "--config", config, "-o", "json")
		// Four batches, and then anywhere in the next ones.
		for end := time.Now().Add(2 * time.Minute); !p.ended() && strings.Count(p.errOut.String(), "\n") < 4; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("the move does not go on")
			}
		}
		time.Sleep(rand.N(20 * time.Millisecond))
		ended := p.ended()
		if !ended {
			p.kill9()
			kills++
		}
		last := int64(0)
		for _, line := range strings.Split(p.errOut.String(), "\n") {
			var n int64
			if _, err := fmt.Sscanf(line, "flows: %d rows", &n); err != nil {
				continue
			}
			if last == 0 && n <= reached {
				t.Errorf("after %d kills flows are at %d rows, and were at %d", kills, n, reached)
			}
			last = n
		}
		reached = max(reached, last)
		if !ended {
			continue
		}
		var said struct {
			Rows   int64
			Tables []struct{ Table string }
		}
		if err := json.Unmarshal([]byte(p.out.String()), &said); p.ProcessState.ExitCode() != 0 || err != nil || said.Rows == 0 || len(said.Tables) == 0 {
			t.Fatalf("the last move: exit %d, %v\n%s%s", p.ProcessState.ExitCode(), err, p.out, p.errOut)
		}
		break
	}
	t.Logf("to %s: killed %d times", strings.SplitN(to, ":", 2)[0], kills)
	if kills < 3 {
		t.Errorf("it was killed %d times only", kills)
	}
}
