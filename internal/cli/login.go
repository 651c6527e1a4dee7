package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rind-project/rind/internal/access"
	"github.com/rind-project/rind/internal/base/version"
	"github.com/rind-project/rind/internal/cli/client"
	"github.com/rind-project/rind/internal/cli/render"
)

func (s *shell) loginCommand() *cobra.Command {
	var login client.Login
	var stdin bool
	cmd := &cobra.Command{
		Use: "login SERVER…", Short: "Log in to a server elsewhere with an API token",
		Long: "Log in to a server elsewhere with an API token, which `rind token create` makes on the server.\n" +
			"The token is checked, then kept in a file that only you can read. Further servers of the same\n" +
			"fleet are asked when the first one does not answer.",
		Example: "  rind login https://rind.example.net:8443 --pin sha256:4f5c… --token-stdin < token\n" +
			"  rind login https://rind.example.net:8443 --ca-file ca.pem --token-stdin\n" +
			"  rind login rind1.example.net:8443 rind2.example.net:8443 rind3.example.net:8443 --pin sha256:4f5c… --token-stdin < token",
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var err error
			if login.Server, login.Others, err = client.ParseServers(args); err != nil {
				return err
			}
			if (login.Token == "") == !stdin {
				return errors.New("give the token with --token-stdin (or --token, which other users of this machine may see)")
			}
			if stdin {
				if login.Token, err = s.secret("token"); err != nil {
					return err
				}
			}
			return s.login(cmd.Context(), login)
		},
	}
	cmd.Flags().StringVar(&login.Pin, "pin", "", "trust the server whose CA has this pin, sha256:…")
	cmd.Flags().StringVar(&login.CAFile, "ca-file", "", "trust the CAs in this PEM file")
	cmd.Flags().StringVar(&login.Token, "token", "", "the token")
	cmd.Flags().BoolVar(&stdin, "token-stdin", false, "read the token from the standard input")
	cmd.MarkFlagsMutuallyExclusive("token", "token-stdin")
	cmd.MarkFlagsMutuallyExclusive("pin", "ca-file")
	return cmd
}

// login keeps a login after the server has accepted it.
func (s *shell) login(ctx context.Context, login client.Login) error {
	target, err := login.Target()
	if err != nil {
		return err
	}
	c, err := client.Open(ctx, target)
	if err != nil {
		return err
	}
	var who access.Principal
	if err := c.Get(ctx, "/whoami", nil, &who); err != nil {
		return err
	}
	if err := login.Write(s.opts.Login); err != nil {
		return err
	}
	if s.format != asTable {
		return s.show(who, nil)
	}
	if len(login.Others) > 0 {
		return s.done("logged in to %s as %s (%s); asked as well, when it does not answer: %s", login.Server, who.Name, who.Role, strings.Join(login.Others, ", "))
	}
	return s.done("logged in to %s as %s (%s)", login.Server, who.Name, who.Role)
}

func (s *shell) logoutCommand() *cobra.Command {
	return &cobra.Command{
		Use: "logout", Short: "Forget the login; the token stays valid until `rind token revoke`",
		Example: "  rind logout", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			err := os.Remove(s.opts.Login)
			if errors.Is(err, fs.ErrNotExist) {
				return s.done("not logged in")
			}
			if err != nil {
				return fmt.Errorf("forgetting the login: %w", err)
			}
			return s.done("logged out")
		},
	}
}

func (s *shell) whoamiCommand() *cobra.Command {
	return &cobra.Command{
		Use: "whoami", Short: "Show which server is asked, and as whom",
		Example: "  rind whoami", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := s.client(cmd.Context())
			if err != nil {
				return err
			}
			var who access.Principal
			if err := c.Get(cmd.Context(), "/whoami", nil, &who); err != nil {
				return err
			}
			expires := ""
			if !who.Expires.IsZero() {
				expires = s.ago(who.Expires)
			}
			return s.show(who, fields("server", c.Where(), "name", who.Name, "role", who.Role.String(), "via", who.Via, "expires", expires))
		},
	}
}

// versions are the builds of the program and of the server it asks.
type versions struct {
	Client version.Info  `json:"client"`
	Server *version.Info `json:"server,omitempty"`
}

func (s *shell) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Show the version of this program, and of the server when one answers",
		Example: "  rind version\n  rind version -o json", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			out := versions{Client: version.Get()}
			var server version.Info
			server.Version = "none answers"
			if err := s.get(cmd.Context(), "/version", nil, &server); err == nil {
				out.Server = &server
			}
			return s.show(out, func() *render.Table {
				t := &render.Table{Columns: render.Columns("PROGRAM", "VERSION", "COMMIT", "GO")}
				t.Add("rind", out.Client.Version, out.Client.Commit, out.Client.Go)
				t.Add("server", server.Version, server.Commit, server.Go)
				return t
			})
		},
	}
}
