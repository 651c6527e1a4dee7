package postgres_test

import (
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/base/database/databasetest"
	"github.com/rind-project/rind/internal/base/database/postgres"
	"github.com/rind-project/rind/internal/base/errs"
)

const secret = "s3cr3t-pass"

// refuse checks that Open fails as it should, without the password.
func refuse(t *testing.T, rawURL, want string, kind errs.Kind) {
	t.Helper()
	db, err := postgres.Open(t.Context(), rawURL)
	if err == nil {
		_ = db.Close()
		t.Fatal("it opened")
	}
	if !strings.Contains(err.Error(), want) || errs.KindOf(err) != kind {
		t.Errorf("got %v (%v), want %q (%v)", err, errs.KindOf(err), want, kind)
	}
	if strings.Contains(err.Error(), secret) || strings.Contains(err.Error(), url.QueryEscape(secret)) {
		t.Errorf("the message has the password: %v", err)
	}
}

func TestBadURL(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ url, want string }{
		"empty":            {"", "begins with neither"},
		"another database": {"mysql://u:" + secret + "@h/d", "begins with neither"},
		"key and value":    {"host=h password=" + secret, "begins with neither"},
		"bad escape":       {"postgres://u:%zz" + secret + "@h/d", "cannot be read"},
		"bad port":         {"postgres://u:" + secret + "@h:port/d", "cannot be read"},
		"port too high":    {"postgres://u:" + secret + "@h:99999/d", "cannot be used"},
		"bad sslmode":      {"postgres://u:" + secret + "@h/d?sslmode=perhaps", "sslmode"},
		"bad pool":         {"postgres://u:" + secret + "@h/d?pool_max_conns=many", "pool_max_conns"},
		"pool of one":      {"postgres://u:" + secret + "@h/d?pool_max_conns=1", "2 to 1000"},
		"secret as host":   {"postgres://" + secret + ":x y@h/d", "cannot be read"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			refuse(t, tc.url, tc.want, errs.Invalid)
		})
	}
}

func TestUnreachable(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	refuse(t, "postgres://u:"+secret+"@"+closed+"/d?sslmode=disable", "check that PostgreSQL runs there", errs.Unavailable)
}

// TestSilent connects to a port behind which nobody speaks.
func TestSilent(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	began := time.Now()
	refuse(t, "postgres://u:"+secret+"@"+l.Addr().String()+"/d?sslmode=disable&connect_timeout=1", "check that PostgreSQL runs there", errs.Unavailable)
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
}

// TestRefusedByServer plays a server that refuses the connection with each
// code that has a message of its own.
func TestRefusedByServer(t *testing.T) {
	t.Parallel()
	for code, tc := range map[string]struct {
		want string
		kind errs.Kind
	}{
		"28P01": {"refuses this user or password", errs.Invalid},
		"28000": {"pg_hba.conf", errs.Invalid},
		"3D000": {"createdb", errs.Invalid},
		"42501": {"refuses the user a right", errs.Invalid},
		"53300": {"max_connections", errs.Unavailable},
		"57P03": {"starting up", errs.Unavailable},
	} {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = l.Close() }()
			go refuseAll(l, code)
			refuse(t, "postgres://u:"+secret+"@"+l.Addr().String()+"/d?sslmode=disable", tc.want, tc.kind)
		})
	}
}

func refuseAll(l net.Listener, code string) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		b := pgproto3.NewBackend(c, c)
		if _, err := b.ReceiveStartupMessage(); err == nil {
			b.Send(&pgproto3.ErrorResponse{Severity: "FATAL", Code: code, Message: "the server is starting up"})
			_ = b.Flush()
		}
		_ = c.Close()
	}
}

// TestRealServer checks, on the real one, what only it can answer.
func TestRealServer(t *testing.T) {
	t.Parallel()
	where := databasetest.URL(t, database.PostgreSQL)
	u, err := url.Parse(where)
	if err != nil {
		t.Fatal(err)
	}
	t.Run("no such database", func(t *testing.T) {
		other := *u
		other.Path = "/missing"
		refuse(t, other.String(), "createdb --encoding=UTF8 --template=template0 missing", errs.Invalid)
	})
	t.Run("no such role", func(t *testing.T) {
		other := *u
		other.User = url.UserPassword("nobody-here", secret)
		refuse(t, other.String(), "refuses this user or password", errs.Invalid)
	})
	t.Run("another encoding", func(t *testing.T) {
		db := databasetest.Reopen(t, database.PostgreSQL, where)
		name := "latin_" + strings.ReplaceAll(database.NewID(), "-", "")
		if _, err := db.Exec(t.Context(), `CREATE DATABASE `+name+` ENCODING 'LATIN1' TEMPLATE template0 LOCALE 'C'`); err != nil {
			t.Fatal(err)
		}
		other := *u
		other.Path = "/" + name
		refuse(t, other.String(), "LATIN1", errs.Invalid)
	})
	t.Run("bounded pool", func(t *testing.T) {
		other := *u
		q := other.Query()
		q.Set("pool_max_conns", "2")
		q.Set("application_name", "bounded")
		other.RawQuery = q.Encode()
		db := databasetest.Reopen(t, database.PostgreSQL, other.String())
		done := make(chan error, 10)
		for range cap(done) {
			go func() {
				_, err := db.Exec(t.Context(), `SELECT pg_sleep(0.05)`)
				done <- err
			}()
		}
		most := 0
		watch := databasetest.Reopen(t, database.PostgreSQL, where)
		for range cap(done) {
			if err := <-done; err != nil {
				t.Error(err)
			}
			var n int
			if err := watch.QueryRow(t.Context(), `SELECT COUNT(*) FROM pg_stat_activity WHERE application_name = 'bounded'`).Scan(&n); err != nil {
				t.Fatal(err)
			}
			most = max(most, n)
		}
		if most == 0 || most > 2 {
			t.Errorf("%d connections at once, want 1 or 2", most)
		}
	})
}
