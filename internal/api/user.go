package api

import (
	"context"
	"net/http"

	"github.com/rind-project/rind/internal/access"
	"github.com/rind-project/rind/internal/api/wire"
)

func (a *API) userRoutes() []access.Route {
	return []access.Route{
		route(a, op[wire.Empty, wire.UsersOut]{
			method: http.MethodGet, path: "/users", need: access.NeedAdmin, summary: "list the users",
			run: func(ctx context.Context, _ *http.Request, _ wire.Empty) (wire.UsersOut, error) {
				all, err := a.deps.Access.Users(ctx)
				page, _ := cut(all, len(all))
				return wire.UsersOut{Users: page}, err
			},
		}),
		change(a, http.MethodPost, "/users", "make a user, who changes the password at the first login", "user.create", func(in wire.UserIn) string { return in.Name },
			func(ctx context.Context, by access.Principal, in wire.UserIn) error {
				role, err := access.ParseRole(in.Role)
				if err != nil {
					return err
				}
				return a.deps.Access.CreateUser(ctx, by, in.Name, in.Password, role)
			}),
		change(a, http.MethodPut, "/users/{name}/password", "set a user's password, which they change at the next login; ends the user's sessions", "user.password", func(in wire.PasswordIn) string { return in.Name },
			func(ctx context.Context, by access.Principal, in wire.PasswordIn) error {
				return a.deps.Access.SetPassword(ctx, by, in.Name, in.Password)
			}),
		change(a, http.MethodPut, "/users/{name}/role", "set a user's role", "user.role", func(in wire.RoleIn) string { return in.Name },
			func(ctx context.Context, by access.Principal, in wire.RoleIn) error {
				role, err := access.ParseRole(in.Role)
				if err != nil {
					return err
				}
				return a.deps.Access.SetRole(ctx, by, in.Name, role)
			}),
		change(a, http.MethodPut, "/users/{name}/uid", "let a user id of the server's machine act as the user through the socket", "user.uid", func(in wire.BindIn) string { return in.Name },
			func(ctx context.Context, by access.Principal, in wire.BindIn) error {
				return a.deps.Access.BindUID(ctx, by, in.Name, in.UID)
			}),
		change(a, http.MethodDelete, "/users/{name}", "delete a user with all sessions and tokens", "user.delete", func(in wire.UserName) string { return in.Name },
			func(ctx context.Context, by access.Principal, in wire.UserName) error {
				return a.deps.Access.DeleteUser(ctx, by, in.Name)
			}),
	}
}

// change is a route for administrators that changes a user.
func change[In any](a *API, method, path, summary, action string, object func(In) string, run func(context.Context, access.Principal, In) error) access.Route {
	return route(a, op[In, wire.Empty]{
		method: method, path: path, need: access.NeedAdmin, summary: summary, action: action, own: true,
		object: func(in In, _ wire.Empty) (string, string) { return object(in), "" },
		run: func(ctx context.Context, _ *http.Request, in In) (wire.Empty, error) {
			p, _ := access.PrincipalFrom(ctx)
			return wire.Empty{}, run(ctx, p, in)
		},
	})
}
