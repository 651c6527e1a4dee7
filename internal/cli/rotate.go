package cli

import (
	"fmt"
	"net/url"

	"github.com/spf13/cobra"

	"github.com/rind-project/rind/internal/cli/render"
	"github.com/rind-project/rind/internal/fleet"
)

// addServerVerbs puts what is asked of a running server under the command
// server, where the program has one.
func (s *shell) addServerVerbs(root *cobra.Command) {
	for _, c := range root.Commands() {
		if c.Name() == "server" {
			c.AddCommand(s.rotateCommand(), s.serverTokenCommand())
			return
		}
	}
	root.AddCommand(group("server", "What is asked of a running server", s.rotateCommand(), s.serverTokenCommand()))
}

// oneKey wants the name of a key that can be rotated.
func oneKey(_ *cobra.Command, args []string) error {
	if len(args) != 1 || args[0] != fleet.ScopedKey && args[0] != fleet.MasterKey {
		return fmt.Errorf("name the key: %s, which signs permissions for the bus, or %s, which signs jobs", fleet.ScopedKey, fleet.MasterKey)
	}
	return nil
}

func (s *shell) rotateCommand() *cobra.Command {
	return &cobra.Command{
		Use: "rotate KEY", Short: "Have a new key sign, without closing a connection",
		Long: "rotate has a new key sign from now on. No connection is closed and no job is lost.\n\n" +
			"  scoped-key  signs peels' permissions for the bus: peels move to the new one at their\n" +
			"              renewal, and the old one is dropped a day later\n" +
			"  master-key  signs jobs: peels take the new one at once, and what the old one signs is\n" +
			"              good until its delegation ends",
		Example:   "  rind server rotate scoped-key\n  rind server rotate master-key -o json",
		Args:      oneKey,
		ValidArgs: []cobra.Completion{fleet.ScopedKey, fleet.MasterKey},
		RunE: func(cmd *cobra.Command, args []string) error {
			var out fleet.KeyRotation
			if err := s.post(cmd.Context(), "/keys/"+url.PathEscape(args[0])+"/rotate", nil, &out); err != nil {
				return err
			}
			if s.format != asTable {
				return s.show(out, nil)
			}
			return s.done("a new %s signs (%s); what the old one signed ends %s at the latest", render.Line(out.Kind), render.Line(out.Key), s.ago(out.OldUntil))
		},
	}
}
