package access_test

import (
	"context"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/rind-project/rind/internal/access"
	"github.com/rind-project/rind/internal/access/limit"
	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/base/database/databasetest"
	"github.com/rind-project/rind/internal/base/errs"
)

// clock is a time that the test moves.
type clock struct{ us atomic.Int64 }

func (c *clock) now() time.Time      { return time.UnixMicro(c.us.Load()) }
func (c *clock) add(d time.Duration) { c.us.Add(d.Microseconds()) }

// fixture is a service on a clean database.
type fixture struct {
	*access.Service
	db    *database.DB
	clock *clock
	reg   *prometheus.Registry
}

var (
	root  = access.Principal{Name: "uid:0", Role: access.Admin, Via: access.ViaSocket}
	home  = netip.MustParseAddr("192.0.2.1")
	words = map[string]string{"ada": "correct horse 1", "olga": "correct horse 2", "vera": "correct horse 3"}
)

// each runs fn with a service on both engines.
func each(t *testing.T, fn func(t *testing.T, f *fixture)) {
	t.Helper()
	databasetest.Each(t, access.Migrations(), func(t *testing.T, db *database.DB) {
		t.Parallel()
		fn(t, newFixture(db))
	})
}

func newFixture(db *database.DB) *fixture {
	f := &fixture{db: db, clock: &clock{}, reg: prometheus.NewRegistry()}
	f.clock.us.Store(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro())
	f.Service = access.New(access.Config{}, access.Deps{DB: db, Metrics: f.reg, Now: f.clock.now})
	return f
}

// people makes ada (admin), olga (operator) and vera (viewer), who have chosen
// their passwords.
func (f *fixture) people(t *testing.T) {
	t.Helper()
	for name, role := range map[string]access.Role{"ada": access.Admin, "olga": access.Operator, "vera": access.Viewer} {
		if err := f.CreateUser(t.Context(), root, name, words[name], role); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := f.db.Exec(t.Context(), `UPDATE access_users SET must_change = FALSE`); err != nil {
		t.Fatal(err)
	}
}

// login returns the secret and who it is.
func (f *fixture) login(t *testing.T, name string) (string, access.Principal) {
	t.Helper()
	secret, p, err := f.Login(t.Context(), name, words[name], home)
	if err != nil {
		t.Fatal(err)
	}
	return secret, p
}

// fails checks an error's kind and a part of its message.
func fails(t *testing.T, what string, err error, kind errs.Kind, part string) {
	t.Helper()
	if err == nil || errs.KindOf(err) != kind || !strings.Contains(err.Error(), part) {
		t.Errorf("%s: got %v (%v), want %q (%v)", what, err, errs.KindOf(err), part, kind)
	}
}

func TestBootstrap(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, f *fixture) {
		var passwords atomic.Pointer[string]
		var made atomic.Int64
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				password, err := f.Bootstrap(t.Context())
				if err != nil {
					t.Error(err)
				}
				if password != "" {
					made.Add(1)
					passwords.Store(&password)
				}
			})
		}
		wg.Wait()
		if made.Load() != 1 {
			t.Fatalf("%d passwords were made, want 1", made.Load())
		}
		_, p, err := f.Login(t.Context(), "admin", *passwords.Load(), home)
		if err != nil || p.Role != access.Admin || !p.MustChange {
			t.Errorf("the password lets in %+v, %v", p, err)
		}
		if password, err := f.Bootstrap(t.Context()); password != "" || err != nil {
			t.Errorf("the second start made %q, %v", password, err)
		}
	})
}

func TestSession(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		f.people(t)
		secret, p := f.login(t, "olga")
		want := access.Principal{Name: "olga", Role: access.Operator, Via: access.ViaSession, Expires: f.clock.now().Add(12 * time.Hour).UTC()}
		if diff := cmp.Diff(want, p); diff != "" {
			t.Errorf("login (-want +got):\n%s", diff)
		}
		got, err := f.Session(ctx, secret)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("session: %v (-want +got):\n%s", err, diff)
		}
		for name, bad := range map[string]string{"empty": "", "short": "abc", "another": strings.Repeat("A", 43), "altered": "A" + secret[1:] + "A", "NUL": "\x00" + secret} {
			_, err := f.Session(ctx, bad)
			fails(t, name, err, errs.Unauthorized, "log in again")
		}

		// The role is that of now.
		if err := f.SetRole(ctx, root, "olga", access.Viewer); err != nil {
			t.Fatal(err)
		}
		if got, err := f.Session(ctx, secret); err != nil || got.Role != access.Viewer {
			t.Errorf("after the change of role: %+v, %v", got, err)
		}

		if err := f.Logout(ctx, secret); err != nil {
			t.Fatal(err)
		}
		_, err = f.Session(ctx, secret)
		fails(t, "after the logout", err, errs.Unauthorized, "log in again")
		if err := f.Logout(ctx, secret); err != nil {
			t.Errorf("a second logout: %v", err)
		}
	})
}

func TestSessionEnds(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		f.people(t)
		idle, _ := f.login(t, "olga")
		busy, _ := f.login(t, "olga")
		for range 11 { // uses every hour keep it alive, but not past its end
			f.clock.add(time.Hour)
			if _, err := f.Session(ctx, busy); err != nil {
				t.Fatalf("at %v: %v", f.clock.now(), err)
			}
		}
		_, err := f.Session(ctx, idle)
		fails(t, "after 11 idle hours", err, errs.Unauthorized, "log in again")
		f.clock.add(time.Hour)
		_, err = f.Session(ctx, busy)
		fails(t, "after 12 hours", err, errs.Unauthorized, "log in again")

		if err := f.Expire(ctx); err != nil {
			t.Fatal(err)
		}
		var n int
		if err := f.db.QueryRow(ctx, `SELECT COUNT(*) FROM access_sessions`).Scan(&n); err != nil || n != 0 {
			t.Errorf("%d sessions are left, %v", n, err)
		}
	})
}

// TestSessionsOfOneUser checks the bound, and that the oldest make room.
func TestSessionsOfOneUser(t *testing.T) {
	t.Parallel()
	db := databasetest.Open(t, database.SQLite, access.Migrations())
	f := newFixture(db)
	f.people(t)
	first, _ := f.login(t, "vera")
	for range 50 {
		f.clock.add(time.Second)
		f.login(t, "vera")
	}
	_, err := f.Session(t.Context(), first)
	fails(t, "the oldest session", err, errs.Unauthorized, "log in again")
	var n int
	if err := db.QueryRow(t.Context(), `SELECT COUNT(*) FROM access_sessions`).Scan(&n); err != nil || n != 50 {
		t.Errorf("%d sessions, %v; want 50", n, err)
	}
}

// TestParallelLogins sends 1000 wrong logins at once and counts those whose
// password was looked at.
func TestParallelLogins(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, f *fixture) {
		f.people(t)
		var looked, limited atomic.Int64
		var wg sync.WaitGroup
		for range 1000 {
			wg.Go(func() {
				_, _, err := f.Login(t.Context(), "ada", "a wrong password", home)
				switch errs.KindOf(err) {
				case errs.Unauthorized:
					looked.Add(1)
				case errs.RateLimited:
					limited.Add(1)
				default:
					t.Errorf("got %v", err)
				}
			})
		}
		wg.Wait()
		if looked.Load() != limit.PairBurst || limited.Load() != 1000-limit.PairBurst {
			t.Errorf("%d passwords were looked at and %d tries refused, want %d and the rest", looked.Load(), limited.Load(), limit.PairBurst)
		}
		// Now the right one is refused as well, from here, and says how long.
		_, _, err := f.Login(t.Context(), "ada", words["ada"], home)
		fails(t, "the right password", err, errs.RateLimited, "try again in 1m0s")
		f.clock.add(time.Minute)
		f.login(t, "ada")
		if n := f.count(t, `rind_access_logins_total`, "limited"); n != 1000-limit.PairBurst+1 {
			t.Errorf("%v limited logins are counted", n)
		}
	})
}

// TestStrangersCannotLockOut keeps an account's bucket empty from many
// addresses, and logs in from where its owner always does.
func TestStrangersCannotLockOut(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, f *fixture) {
		f.people(t)
		f.login(t, "ada")
		refused := 0
		for i := range 40 {
			_, _, err := f.Login(t.Context(), "ada", "a wrong password", netip.AddrFrom4([4]byte{198, 51, 100, byte(i)}))
			if errs.Is(err, errs.RateLimited) {
				refused++
			}
		}
		if refused != 20 {
			t.Errorf("%d of 40 strangers were refused, want 20", refused)
		}
		f.login(t, "ada")
		_, _, err := f.Login(t.Context(), "ada", words["ada"], netip.MustParseAddr("203.0.113.9"))
		fails(t, "the owner from a new address", err, errs.RateLimited, "rind command there")
	})
}

// TestWrongLogins checks that a wrong name and a wrong password look the same,
// and what the trail keeps of them.
func TestWrongLogins(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		f.people(t)
		messages := map[string]bool{}
		for name, word := range map[string]string{
			"ada": "a wrong password", "nobody": words["ada"], "": words["ada"], "Robert'); DROP": "x", "hunter2-my-password": words["ada"],
			"vera": strings.Repeat("x", 5000), "olga": "", "x\x00y": "x",
		} {
			_, _, err := f.Login(ctx, name, word, netip.MustParseAddr("192.0.2.77"))
			fails(t, name, err, errs.Unauthorized, "wrong name or password")
			messages[err.Error()] = true
		}
		if len(messages) != 1 {
			t.Errorf("the messages differ: %v", messages)
		}
		trail, err := f.AuditList(ctx, 8, "")
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range trail {
			if e.Action != "login" || e.OK || e.Addr != netip.MustParseAddr("192.0.2.77") || (e.Object != "" && words[e.Object] == "") {
				t.Errorf("the trail has %+v", e)
			}
		}
		if _, _, err := f.Login(ctx, "ADA", words["ada"], home); err != nil {
			t.Errorf("a name in capitals: %v", err)
		}
	})
}

// TestHangUp checks that a client who left before the password was looked at
// is not logged in, and uses up no try of those who share the address.
func TestHangUp(t *testing.T) {
	t.Parallel()
	f := newFixture(databasetest.Open(t, database.SQLite, access.Migrations()))
	f.people(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 2 * limit.PairBurst {
		if _, _, err := f.Login(ctx, "ada", words["ada"], home); err == nil {
			t.Error("a client who left was logged in")
		}
	}
	f.login(t, "ada")
}

// TestNothingInClear looks for the secrets in everything that is stored.
func TestNothingInClear(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		f.people(t)
		session, p := f.login(t, "ada")
		token, err := f.CreateToken(ctx, p, "ci", access.Viewer, 0)
		if err != nil {
			t.Fatal(err)
		}
		secret := token[strings.LastIndexByte(token[:22], '_')+1:]
		for _, table := range []string{"access_users", "access_sessions", "access_tokens", "access_audit", "access_known", "access_lock"} {
			rows, err := f.db.Query(ctx, `SELECT * FROM `+table)
			if err != nil {
				t.Fatal(err)
			}
			cols, err := rows.Columns()
			if err != nil {
				t.Fatal(err)
			}
			for rows.Next() {
				values := make([]any, len(cols))
				for i := range values {
					values[i] = new([]byte)
				}
				if err := rows.Scan(values...); err != nil {
					t.Fatal(err)
				}
				for i, v := range values {
					for _, clear := range []string{session, token, secret, words["ada"]} {
						if strings.Contains(string(*v.(*[]byte)), clear) {
							t.Errorf("%s.%s holds a secret", table, cols[i])
						}
					}
				}
			}
			if err := rows.Close(); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestAudit(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		want := access.Entry{By: "ada", Via: "token", Action: "job.run", Object: "web-*", Detail: "cmd.run uptime", Addr: netip.MustParseAddr("2001:db8::1"), OK: true}
		if err := f.Audit(ctx, want); err != nil {
			t.Fatal(err)
		}
		got, err := f.AuditList(ctx, 1, "")
		if err != nil || len(got) != 1 {
			t.Fatalf("got %v, %v", got, err)
		}
		if diff := cmp.Diff(want, got[0], cmpopts.IgnoreFields(access.Entry{}, "ID", "At"), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if !got[0].At.Equal(f.clock.now()) || got[0].ID == "" {
			t.Errorf("it is of %v with id %q", got[0].At, got[0].ID)
		}
		if _, err := f.AuditList(ctx, 1, "\x00\xff"); err != nil {
			t.Errorf("a hostile id gave %v", err)
		}
		hostile := access.Entry{By: strings.Repeat("é", 5000), Action: "x\x00y", Detail: strings.Repeat("\xff", 5000), Object: "\xed\xa0\x80"}
		if err := f.Audit(ctx, hostile); err != nil {
			t.Fatalf("a hostile entry was not written: %v", err)
		}
		for i := range 25 {
			if err := f.Audit(ctx, access.Entry{Action: "n", Object: string(rune('a' + i))}); err != nil {
				t.Fatal(err)
			}
		}
		var seen string
		for before, pages := "", 0; ; pages++ {
			page, err := f.AuditList(ctx, 10, before)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range page {
				if e.Action == "n" {
					seen += e.Object
				}
			}
			if len(page) < 10 {
				break
			}
			before = page[len(page)-1].ID
			if pages > 3 {
				t.Fatal("the pages do not end")
			}
		}
		if seen != "yxwvutsrqponmlkjihgfedcba" {
			t.Errorf("the pages show %q", seen)
		}
		f.clock.add(401 * 24 * time.Hour)
		if err := f.Expire(ctx); err != nil {
			t.Fatal(err)
		}
		if left, err := f.AuditList(ctx, 0, ""); err != nil || len(left) != 0 {
			t.Errorf("%d entries outlive audit_keep, %v", len(left), err)
		}
	})
}

// count returns a counter with one label.
func (f *fixture) count(t *testing.T, name, label string) float64 {
	t.Helper()
	families, err := f.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, m := range family.GetMetric() {
			if m.GetLabel()[0].GetValue() == label {
				return m.GetCounter().GetValue()
			}
		}
	}
	return 0
}
