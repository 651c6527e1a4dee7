package web

import (
	"net/http"

	"github.com/rind-project/rind/internal/access"
	"github.com/rind-project/rind/internal/base/errs"
)

// loginForm is the data of the login page.
type loginForm struct {
	Name, Next  string
	Error, Hint string
}

func (w *Web) loginPage(rw http.ResponseWriter, r *http.Request) error {
	next := access.SafeNext(r.URL.Query().Get("next"))
	if _, ok := access.PrincipalFrom(r.Context()); ok {
		http.Redirect(rw, r, next, http.StatusSeeOther)
		return nil
	}
	f := loginForm{Next: next}
	switch q := r.URL.Query(); {
	case q.Has("out"):
		f.Hint = "You are logged out."
	case q.Has("changed"):
		f.Hint = "The password is changed. Log in with the new one."
	}
	return w.showLogin(rw, r, http.StatusOK, f)
}

func (w *Web) showLogin(rw http.ResponseWriter, r *http.Request, status int, f loginForm) error {
	s := w.sheet(r, "Log in", "/login")
	s.Data = f
	return w.pages.Render(rw, r, status, "login", s)
}

func (w *Web) login(rw http.ResponseWriter, r *http.Request) error {
	f := loginForm{Name: r.PostForm.Get("name"), Next: access.SafeNext(r.PostForm.Get("next"))}
	secret, p, err := w.Access.Login(r.Context(), f.Name, r.PostForm.Get("password"), access.ClientAddr(r))
	if err != nil {
		kind, _ := access.Describe(err)
		if kind == errs.Internal {
			return err
		}
		access.SetRetryAfter(rw.Header(), err)
		f.Error = said(err)
		if len(f.Name) > 64 {
			f.Name = ""
		}
		return w.showLogin(rw, r, access.Status(kind), f)
	}
	http.SetCookie(rw, w.Access.Cookie(secret))
	if p.MustChange {
		f.Next = "/account"
	}
	http.Redirect(rw, r, f.Next, http.StatusSeeOther)
	return nil
}

func (w *Web) logout(rw http.ResponseWriter, r *http.Request) error {
	if secret := access.CookieSecret(r); secret != "" {
		if err := w.Access.Logout(r.Context(), secret); err != nil {
			return err
		}
	}
	http.SetCookie(rw, w.Access.GoneCookie())
	http.Redirect(rw, r, "/login?out", http.StatusSeeOther)
	return nil
}
