package tap

import (
	"bytes"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/rind-project/rind/internal/app/daemon"
)

// TestCompletion presses the tabulator key.
func TestCompletion(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"check", "--interface", ""}, "lo\n"},
		{[]string{"run", "-i", "l"}, "lo\n"},
		{[]string{"status", "-o", ""}, "table\njson\n"},
		{[]string{"read", "--to", ""}, "node\n"},
		{[]string{"read", "--parsers", ""}, "none\n"},
		{[]string{"read", "--parsers", "dns,tl"}, "dns,tls\n"},
		{[]string{"sta"}, "status\t"},
		{[]string{"config", ""}, "dump\t"},
	} {
		var out, told bytes.Buffer
		if code := daemon.Execute(command(), append([]string{"__complete"}, c.args...), &out, &told); code != 0 || !strings.Contains(out.String(), c.want) {
			t.Errorf("%q: %d, %s, want %q", c.args, code, out.String(), c.want)
		}
	}
}

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
		if c.Short == "" || !strings.Contains(c.Example, "rind-tap ") {
			t.Errorf("%s: %q, its example is %q", c.CommandPath(), c.Short, c.Example)
		}
	}
	look(command())
	if commands < 6 {
		t.Errorf("the walk met %d commands", commands)
	}
}
