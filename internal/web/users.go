package web

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/rind-project/rind/internal/access"
	"github.com/rind-project/rind/internal/base/errs"
)

// usersView is the data of the page of users.
type usersView struct {
	Users []access.User
	Self  string // who looks
	Roles []access.Role
	Name  string // that was typed
	Error string
	Sum   string
}

func (w *Web) users(rw http.ResponseWriter, r *http.Request) error {
	return w.showUsers(rw, r, "", nil)
}

// showUsers renders the page, with what was wrong with a form.
func (w *Web) showUsers(rw http.ResponseWriter, r *http.Request, typed string, failed error) error {
	status := http.StatusOK
	p, _ := access.PrincipalFrom(r.Context())
	v := usersView{Self: p.Name, Name: typed, Roles: []access.Role{access.Viewer, access.Operator, access.Admin}}
	if failed != nil {
		if kind, _ := access.Describe(failed); kind == errs.Internal {
			return failed
		}
		status, v.Error = access.Status(errs.KindOf(failed)), said(failed)
		access.SetRetryAfter(rw.Header(), failed)
	}
	var err error
	if v.Users, err = w.Access.Users(r.Context()); err != nil {
		return fmt.Errorf("listing the users: %w", err)
	}
	v.Sum = plural(len(v.Users), "user", "users")
	s := w.sheet(r, "Users", "/users")
	s.Data = v
	return w.pages.Render(rw, r, status, "users", s)
}

// makeUser makes a user; the service writes the audit trail.
func (w *Web) makeUser(rw http.ResponseWriter, r *http.Request) error {
	p, _ := access.PrincipalFrom(r.Context())
	name := strings.TrimSpace(r.PostForm.Get("name"))
	role, err := access.ParseRole(r.PostForm.Get("role"))
	if err == nil {
		err = w.Access.CreateUser(r.Context(), p, name, r.PostForm.Get("password"), role)
	}
	if err != nil {
		return w.showUsers(rw, r, name, err)
	}
	http.Redirect(rw, r, "/users", http.StatusSeeOther)
	return nil
}

// changeUser sets the role or the password of a user, or deletes the user.
func (w *Web) changeUser(rw http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	p, _ := access.PrincipalFrom(ctx)
	name := r.PathValue("name")
	var err error
	switch r.PostForm.Get("do") {
	case "role":
		var role access.Role
		if role, err = access.ParseRole(r.PostForm.Get("role")); err == nil {
			err = w.Access.SetRole(ctx, p, name, role)
		}
	case "password":
		err = w.Access.SetPassword(ctx, p, name, r.PostForm.Get("password"))
	case "delete":
		err = w.Access.DeleteUser(ctx, p, name)
	default:
		err = errs.New(errs.Invalid, "a change is role, password or delete")
	}
	if err != nil {
		return w.showUsers(rw, r, "", err)
	}
	http.Redirect(rw, r, "/users", http.StatusSeeOther)
	return nil
}
