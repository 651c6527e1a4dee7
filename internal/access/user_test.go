package access_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/rind-project/rind/internal/access"
	"github.com/rind-project/rind/internal/base/errs"
)

func TestUsers(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		f.people(t)
		if err := f.BindUID(ctx, root, "vera", 1001); err != nil {
			t.Fatal(err)
		}
		got, err := f.Users(ctx)
		if err != nil {
			t.Fatal(err)
		}
		uid := 1001
		want := []access.User{{Name: "ada", Role: access.Admin}, {Name: "olga", Role: access.Operator}, {Name: "vera", Role: access.Viewer, UID: &uid}}
		if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(access.User{}, "Created", "Changed")); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}

		fails(t, "a name twice", f.CreateUser(ctx, root, "ada", words["ada"], access.Viewer), errs.Conflict, "exists already")
		for _, name := range []string{"", "Ada", "1x", "a b", "a/b", "a:b", "uid:0", strings.Repeat("a", 65), "a\x00"} {
			fails(t, name, f.CreateUser(ctx, root, name, words["ada"], access.Viewer), errs.Invalid, "is no user name")
		}
		fails(t, "short password", f.CreateUser(ctx, root, "new", "short", access.Viewer), errs.Invalid, "longer")
		fails(t, "no role", f.CreateUser(ctx, root, "new", words["ada"], access.NoRole), errs.Invalid, "needs a role")
		fails(t, "a role above all", f.CreateUser(ctx, root, "new", words["ada"], access.Admin+1), errs.Invalid, "needs a role")
		fails(t, "nobody", f.DeleteUser(ctx, root, "nobody"), errs.NotFound, "rind user list")
		fails(t, "a NUL", f.DeleteUser(ctx, root, "a\x00"), errs.NotFound, "rind user list")
	})
}

// TestOnlyAdministrators calls what changes users with each lower role.
func TestOnlyAdministrators(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		f.people(t)
		for role, kind := range map[access.Role]errs.Kind{access.Operator: errs.Forbidden, access.Viewer: errs.Forbidden, access.NoRole: errs.Unauthorized} {
			p := access.Principal{Name: "olga", Role: role, Via: access.ViaSession}
			for name, err := range map[string]error{
				"create":   f.CreateUser(ctx, p, "new", words["ada"], access.Viewer),
				"role":     f.SetRole(ctx, p, "olga", access.Admin),
				"password": f.SetPassword(ctx, p, "ada", words["olga"]),
				"delete":   f.DeleteUser(ctx, p, "vera"),
				"bind":     f.BindUID(ctx, p, "olga", 1000),
			} {
				if !errs.Is(err, kind) {
					t.Errorf("%v may %s: %v", role, name, err)
				}
			}
		}
		if users, err := f.Users(ctx); err != nil || len(users) != 3 {
			t.Errorf("%d users, %v", len(users), err)
		}
	})
}

func TestLastAdministrator(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		f.people(t)
		fails(t, "deleting", f.DeleteUser(ctx, root, "ada"), errs.Conflict, "last administrator")
		fails(t, "degrading", f.SetRole(ctx, root, "ada", access.Viewer), errs.Conflict, "last administrator")
		// Two administrators who delete each other at the same time.
		if err := f.SetRole(ctx, root, "olga", access.Admin); err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for _, name := range []string{"ada", "olga"} {
			wg.Go(func() {
				if err := f.DeleteUser(ctx, root, name); err != nil && !errs.Is(err, errs.Conflict) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		users, err := f.Users(ctx)
		if err != nil || len(users) != 2 {
			t.Errorf("left are %+v, %v; want one of the two and vera", users, err)
		}
	})
}

func TestPasswords(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		f.people(t)
		session, p := f.login(t, "vera")
		fails(t, "the old one wrong", f.ChangePassword(ctx, p, "not this one", "a new password", home), errs.Forbidden, "old password is wrong")
		fails(t, "the new one short", f.ChangePassword(ctx, p, words["vera"], "short", home), errs.Invalid, "longer")
		if err := f.ChangePassword(ctx, p, words["vera"], "a new password", home); err != nil {
			t.Fatal(err)
		}
		_, err := f.Session(ctx, session)
		fails(t, "the session of before", err, errs.Unauthorized, "log in again")
		_, _, err = f.Login(ctx, "vera", words["vera"], home)
		fails(t, "the old password", err, errs.Unauthorized, "wrong name or password")
		if _, _, err = f.Login(ctx, "vera", "a new password", home); err != nil {
			t.Error(err)
		}
		if err := f.SetPassword(ctx, root, "vera", words["vera"]); err != nil {
			t.Fatal(err)
		}
		session, _ = f.login(t, "vera")
		// Guessing the old password counts like guessing at the login.
		for range 10 {
			err = f.ChangePassword(ctx, p, "not this one", "a new password", home)
		}
		fails(t, "guessing", err, errs.RateLimited, "too many tries")
		if err := f.DeleteUser(ctx, root, "vera"); err != nil {
			t.Fatal(err)
		}
		_, err = f.Session(ctx, session)
		fails(t, "the session of a deleted user", err, errs.Unauthorized, "log in again")
	})
}

func TestTokens(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		f.people(t)
		_, olga := f.login(t, "olga")
		_, vera := f.login(t, "vera")
		token, err := f.CreateToken(ctx, olga, "ci job", access.Operator, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		id := strings.Split(token, "_")[1]
		want := access.Principal{Name: "olga", Role: access.Operator, Via: access.ViaToken, TokenID: id, Expires: f.clock.now().Add(time.Hour).UTC()}
		got, err := f.Token(ctx, token)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Fatalf("%v (-want +got):\n%s", err, diff)
		}
		flip := map[bool]string{true: "B", false: "A"}[token[30] == 'A']
		for name, bad := range map[string]string{
			"empty": "", "prefix": "rind_", "no secret": "rind_" + id, "an empty secret": "rind_" + id + "_", "another id": "rind_" + strings.Repeat("a", 16) + token[21:],
			"altered": token[:30] + flip + token[31:], "longer": token + "A", "a tap's": "rindtap_" + token[5:], "NUL": token[:10] + "\x00" + token[11:],
		} {
			_, err := f.Token(ctx, bad)
			fails(t, name, err, errs.Unauthorized, "rind token create")
		}

		// Who may see and revoke it.
		for name, tc := range map[string]struct {
			p    access.Principal
			want int
		}{"its owner": {olga, 1}, "another": {vera, 0}, "an administrator": {root, 1}} {
			if list, err := f.ListTokens(ctx, tc.p); err != nil || len(list) != tc.want {
				t.Errorf("%s sees %v, %v; want %d", name, list, err, tc.want)
			}
		}
		fails(t, "revoked by another", f.RevokeToken(ctx, vera, id), errs.NotFound, "no token")

		// What cannot be made.
		for name, tc := range map[string]struct {
			p    access.Principal
			name string
			role access.Role
			ttl  time.Duration
			kind errs.Kind
		}{
			"above the maker": {olga, "x", access.Admin, time.Hour, errs.Forbidden},
			"by nobody":       {access.Principal{}, "x", access.Viewer, time.Hour, errs.Unauthorized},
			"no role":         {olga, "x", access.NoRole, time.Hour, errs.Invalid},
			"no name":         {olga, "", access.Viewer, time.Hour, errs.Invalid},
			"a control":       {olga, "a\x1b[0m", access.Viewer, time.Hour, errs.Invalid},
			"a long name":     {olga, strings.Repeat("x", 65), access.Viewer, time.Hour, errs.Invalid},
			"for ever":        {olga, "x", access.Viewer, 10 * 366 * 24 * time.Hour, errs.Invalid},
			"in the past":     {olga, "x", access.Viewer, -time.Hour, errs.Invalid},
			"of nobody":       {access.Principal{Name: "gone", Role: access.Viewer}, "x", access.Viewer, time.Hour, errs.NotFound},
		} {
			if _, err := f.CreateToken(ctx, tc.p, tc.name, tc.role, tc.ttl); !errs.Is(err, tc.kind) {
				t.Errorf("%s: got %v, want %v", name, err, tc.kind)
			}
		}

		// One made with a token does not outlive it.
		child, err := f.CreateToken(ctx, got, "child", access.Viewer, 24*time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		if p, err := f.Token(ctx, child); err != nil || !p.Expires.Equal(want.Expires) {
			t.Errorf("the child lives until %v, %v; want %v", p.Expires, err, want.Expires)
		}

		// The role falls with the owner's.
		if err := f.SetRole(ctx, root, "olga", access.Viewer); err != nil {
			t.Fatal(err)
		}
		if p, err := f.Token(ctx, token); err != nil || p.Role != access.Viewer {
			t.Errorf("after the change of role: %+v, %v", p, err)
		}

		if err := f.RevokeToken(ctx, olga, id); err != nil {
			t.Fatal(err)
		}
		_, err = f.Token(ctx, token)
		fails(t, "revoked", err, errs.Unauthorized, "revoked")
		f.clock.add(time.Hour)
		_, err = f.Token(ctx, child)
		fails(t, "expired", err, errs.Unauthorized, "expired")
	})
}

func TestTokenOfDeletedUser(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		f.people(t)
		_, p := f.login(t, "vera")
		token, err := f.CreateToken(ctx, p, "x", access.Viewer, 0)
		if err != nil {
			t.Fatal(err)
		}
		machine, err := f.CreateToken(ctx, root, "backup", access.Admin, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.DeleteUser(ctx, root, "vera"); err != nil {
			t.Fatal(err)
		}
		_, err = f.Token(ctx, token)
		fails(t, "of a deleted user", err, errs.Unauthorized, "revoked")
		if p, err := f.Token(ctx, machine); err != nil || p.Role != access.Admin || p.Name != "uid:0" {
			t.Errorf("the machine's token is %+v, %v", p, err)
		}
		if _, err := f.CreateToken(ctx, p, "x", access.Viewer, 0); !errs.Is(err, errs.NotFound) {
			t.Errorf("a deleted user made a token: %v", err)
		}
	})
}

func TestUID(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		f.people(t)
		if err := f.BindUID(ctx, root, "olga", 1000); err != nil {
			t.Fatal(err)
		}
		for uid, want := range map[int]access.Principal{
			0:    {Name: "uid:0", Role: access.Admin, Via: access.ViaSocket},
			998:  {Name: "uid:0", Role: access.Admin, Via: access.ViaSocket},
			1000: {Name: "olga", Role: access.Operator, Via: access.ViaSocket},
		} {
			if got, err := f.PrincipalForUID(ctx, uid, 998); err != nil || got != want {
				t.Errorf("uid %d is %+v, %v; want %+v", uid, got, err, want)
			}
		}
		_, err := f.PrincipalForUID(ctx, 1001, 998)
		fails(t, "an unbound uid", err, errs.Forbidden, "--uid 1001")
		fails(t, "a uid twice", f.BindUID(ctx, root, "vera", 1000), errs.Conflict, "another user")
		for _, uid := range []int{0, -2, 65534, 1<<32 - 1} {
			fails(t, "a uid that is nobody's", f.BindUID(ctx, root, "vera", uid), errs.Invalid, "cannot be bound")
		}
		if err := f.BindUID(ctx, root, "olga", -1); err != nil {
			t.Fatal(err)
		}
		_, err = f.PrincipalForUID(ctx, 1000, 998)
		fails(t, "an unbound uid", err, errs.Forbidden, "--uid 1000")
	})
}
