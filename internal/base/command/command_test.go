package command_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/rind-project/rind/internal/base/command"
)

// tree is "prog" with the verb go and the noun host, which has verbs of its own.
func tree() *cobra.Command {
	done := func(c *cobra.Command, _ []string) error { c.Print("done"); return nil }
	root := &cobra.Command{Use: "prog", SilenceUsage: true, SilenceErrors: true}
	host := &cobra.Command{Use: "host", Short: "hosts"}
	host.AddCommand(
		&cobra.Command{Use: "list", Args: cobra.NoArgs, RunE: done},
		&cobra.Command{Use: "show ID", Args: cobra.ExactArgs(1), RunE: done},
		&cobra.Command{Use: "hidden", Hidden: true, RunE: done},
	)
	root.AddCommand(host, &cobra.Command{Use: "go", Args: cobra.NoArgs, RunE: done})
	command.Explain(root)
	return root
}

func TestExplain(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"host lst":           `unknown command "lst" for "prog host"; did you mean "list"? its commands are: list, show`,
		"host LIST":          `unknown command "LIST" for "prog host"; did you mean "list"? its commands are: list, show`,
		"host sh":            `unknown command "sh" for "prog host"; did you mean "show"? its commands are: list, show`,
		"host frobnicate":    `unknown command "frobnicate" for "prog host"; its commands are: list, show`,
		"host hiden":         `unknown command "hiden" for "prog host"; its commands are: list, show`,
		"hots":               `unknown command "hots" for "prog"; did you mean "host"? its commands are: go, host`,
		"xy":                 `unknown command "xy" for "prog"; its commands are: go, host`,
		"host show":          `accepts 1 arg(s), received 0; the command is: prog host show ID [flags]`,
		"host list --bogus":  `unknown flag: --bogus; see ` + "`prog host list --help`",
		"--bogus":            `unknown flag: --bogus; see ` + "`prog --help`",
		"host list -x":       `unknown shorthand flag: 'x' in -x; see ` + "`prog host list --help`",
		"host list":          "",
		"host":               "",
		"host show 1":        "",
		"host hidden":        "",
		"host list too many": `unknown command "too" for "prog host list"; the command is: prog host list [flags]`,
	} {
		root := tree()
		root.SetArgs(strings.Fields(line))
		var out bytes.Buffer
		root.SetOut(&out)
		root.SetErr(&out)
		got := ""
		if err := root.Execute(); err != nil {
			got = err.Error()
		} else if out.Len() == 0 {
			t.Errorf("%q says nothing", line)
		}
		if got != want {
			t.Errorf("%q:\n got %s\nwant %s", line, got, want)
		}
	}
}

func TestExplainBoundsWords(t *testing.T) {
	t.Parallel()
	root := tree()
	root.SetArgs([]string{"host", strings.Repeat("x", 1<<20)})
	root.SetOut(&bytes.Buffer{})
	if err := root.Execute(); err == nil || len(err.Error()) > 200 {
		t.Errorf("a long word gives %d characters", len(err.Error()))
	}
}
