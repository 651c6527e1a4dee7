package web

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/rind-project/rind/internal/access"
	"github.com/rind-project/rind/internal/base/errs"
)

// accountView is the data of the page of one's account.
type accountView struct {
	CanPassword bool
	Roles       []access.Role
	Tokens      []access.TokenInfo
	Secret      string // of a token that was just made
	Server      string
	Error       string
}

func (w *Web) account(rw http.ResponseWriter, r *http.Request) error {
	return w.showAccount(rw, r, http.StatusOK, "", nil)
}

// showAccount renders the page, with a secret to show once or with what was
// wrong with a form.
func (w *Web) showAccount(rw http.ResponseWriter, r *http.Request, status int, secret string, failed error) error {
	p, _ := access.PrincipalFrom(r.Context())
	v := accountView{CanPassword: p.Via == access.ViaSession, Secret: secret, Server: "https://" + r.Host}
	if !p.MustChange {
		var err error
		if v.Tokens, err = w.Access.ListTokens(r.Context(), p); err != nil {
			return fmt.Errorf("listing the tokens: %w", err)
		}
	}
	if w.PublicURL != nil {
		v.Server = w.PublicURL(r)
	}
	for role := access.Viewer; role <= p.Role; role++ {
		v.Roles = append(v.Roles, role)
	}
	if failed != nil {
		if kind, _ := access.Describe(failed); kind == errs.Internal {
			return failed
		}
		status, v.Error = access.Status(errs.KindOf(failed)), said(failed)
		access.SetRetryAfter(rw.Header(), failed)
	}
	s := w.sheet(r, "Account", "/account")
	s.Data = v
	return w.pages.Render(rw, r, status, "account", s)
}

// changePassword ends every session, this one too.
func (w *Web) changePassword(rw http.ResponseWriter, r *http.Request) error {
	p, _ := access.PrincipalFrom(r.Context())
	if p.Via != access.ViaSession {
		return errs.New(errs.Forbidden, "a password is changed by whoever is logged in with it")
	}
	err := w.Access.ChangePassword(r.Context(), p, r.PostForm.Get("old"), r.PostForm.Get("new"), access.ClientAddr(r))
	if err != nil {
		return w.showAccount(rw, r, 0, "", err)
	}
	http.SetCookie(rw, w.Access.GoneCookie())
	http.Redirect(rw, r, "/login?changed", http.StatusSeeOther)
	return nil
}

var apiTokenLives = map[string]time.Duration{"24h": 24 * time.Hour, "720h": 720 * time.Hour, "8760h": 8760 * time.Hour}

func (w *Web) makeToken(rw http.ResponseWriter, r *http.Request) error {
	p, _ := access.PrincipalFrom(r.Context())
	role, err := access.ParseRole(r.PostForm.Get("role"))
	if err != nil {
		return w.showAccount(rw, r, 0, "", err)
	}
	ttl, ok := apiTokenLives[r.PostForm.Get("ttl")]
	if !ok {
		return w.showAccount(rw, r, 0, "", errs.New(errs.Invalid, "a token works for 1, 30 or 365 days"))
	}
	secret, err := w.Access.CreateToken(r.Context(), p, strings.TrimSpace(r.PostForm.Get("name")), role, ttl)
	return w.showAccount(rw, r, http.StatusOK, secret, err)
}

func (w *Web) revokeToken(rw http.ResponseWriter, r *http.Request) error {
	p, _ := access.PrincipalFrom(r.Context())
	if err := w.Access.RevokeToken(r.Context(), p, r.PostForm.Get("id")); err != nil {
		return w.showAccount(rw, r, 0, "", err)
	}
	http.Redirect(rw, r, "/account", http.StatusSeeOther)
	return nil
}
