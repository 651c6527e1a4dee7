package cli

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/rind-project/rind/internal/api/wire"
	"github.com/rind-project/rind/internal/cli/render"
)

func (s *shell) userCommand() *cobra.Command {
	return group("user", "People with an account", s.userListCommand(), s.userAddCommand(), s.userPasswordCommand(),
		s.userRoleCommand(), s.userBindCommand(), s.userDeleteCommand())
}

func (s *shell) userListCommand() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List users", Example: "  rind user list", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var out wire.UsersOut
			if err := s.get(cmd.Context(), "/users", nil, &out); err != nil {
				return err
			}
			return showList(s, out.Users, func() *render.Table {
				t := &render.Table{Columns: render.Columns("NAME", "ROLE", ">UID", "CREATED"), Empty: "no user here"}
				for _, u := range out.Users {
					uid := ""
					if u.UID != nil {
						uid = strconv.Itoa(*u.UID)
					}
					t.Add(u.Name, u.Role.String(), uid, s.ago(u.Created))
				}
				return t
			})
		},
	}
}

func (s *shell) userAddCommand() *cobra.Command {
	var role string
	cmd := &cobra.Command{
		Use: "add NAME", Short: "Make a user; the password is asked for, or read from the standard input",
		Example: "  rind user add anna --role operator",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			password, err := s.secret("password of " + args[0])
			if err != nil {
				return err
			}
			if err := s.post(cmd.Context(), "/users", wire.UserIn{Name: args[0], Password: password, Role: role}, nil); err != nil {
				return err
			}
			return s.done("%s is a user with the role %s, and has to change the password at the first login", args[0], role)
		},
	}
	cmd.Flags().StringVar(&role, "role", "viewer", "viewer, operator or admin")
	s.completeRole(cmd)
	return cmd
}

func (s *shell) userPasswordCommand() *cobra.Command {
	return &cobra.Command{
		Use: "password NAME", Short: "Set somebody's password, to be changed at the next login; it is asked for, or read from the standard input",
		Example: "  rind user password anna",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			password, err := s.secret("new password of " + args[0])
			if err != nil {
				return err
			}
			in := wire.PasswordIn{Password: password}
			if err := s.put(cmd.Context(), "/users/"+url.PathEscape(args[0])+"/password", in); err != nil {
				return err
			}
			return s.done("the password of %s is set; its sessions have ended", args[0])
		},
	}
}

func (s *shell) userRoleCommand() *cobra.Command {
	return &cobra.Command{
		Use: "role NAME ROLE", Short: "Set a user's role: viewer, operator or admin",
		Example: "  rind user role anna admin",
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			in := wire.RoleIn{Role: args[1]}
			if err := s.put(cmd.Context(), "/users/"+url.PathEscape(args[0])+"/role", in); err != nil {
				return err
			}
			return s.done("%s has the role %s", args[0], args[1])
		},
	}
}

func (s *shell) userBindCommand() *cobra.Command {
	uid := 0
	cmd := &cobra.Command{
		Use: "bind NAME --uid UID", Aliases: []string{"bind-uid"},
		Short:   "Let a user id of the server's machine act as the user through the socket",
		Example: "  rind user bind anna --uid 1000\n  rind user bind anna --uid -1",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			in := wire.BindIn{UID: uid}
			if err := s.put(cmd.Context(), "/users/"+url.PathEscape(args[0])+"/uid", in); err != nil {
				return err
			}
			return s.done("uid %d acts as %s", uid, args[0])
		},
	}
	cmd.Flags().IntVar(&uid, "uid", 0, "user id on the server's machine; -1 unbinds")
	_ = cmd.MarkFlagRequired("uid")
	return cmd
}

func (s *shell) userDeleteCommand() *cobra.Command {
	return &cobra.Command{
		Use: "delete NAME", Short: "Delete a user with all sessions and tokens",
		Example: "  rind user delete anna",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := s.delete(cmd.Context(), "/users/"+url.PathEscape(args[0])); err != nil {
				return err
			}
			return s.done("%s is deleted", args[0])
		},
	}
}

// put sends a body that replaces something.
func (s *shell) put(ctx context.Context, path string, in any) error {
	c, err := s.client(ctx)
	if err != nil {
		return err
	}
	return c.Send(ctx, http.MethodPut, path, in, nil)
}
