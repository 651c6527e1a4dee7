package peel

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// Every command that a person may type says what it does, and shows how.
func TestEveryCommandHasAnExample(t *testing.T) {
	t.Parallel()
	commands := 0
	var look func(c *cobra.Command)
	look = func(c *cobra.Command) {
		for _, sub := range c.Commands() {
			look(sub)
		}
		if c.Hidden || c.HasSubCommands() && c.HasParent() {
			return
		}
		commands++
		if c.Short == "" || !strings.Contains(c.Example, "rind-peel ") {
			t.Errorf("%s: %q, its example is %q", c.CommandPath(), c.Short, c.Example)
		}
	}
	look(command())
	if commands < 5 {
		t.Errorf("the walk met %d commands", commands)
	}
}
