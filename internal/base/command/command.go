// Package command words what a person typed wrong on a command line: every
// message names the command that was meant, or where to read on.
package command

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rind-project/rind/internal/base/spelling"
)

// Explain makes a tree of commands say what they take: a command that holds
// others names them, and shows its help when it is called alone; the others
// show how they are written; a wrong flag says where flags are listed.
func Explain(root *cobra.Command) {
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return fmt.Errorf("%w; see `%s --help`", err, cmd.CommandPath())
	})
	explainArgs(root)
}

func explainArgs(cmd *cobra.Command) {
	check := cmd.Args
	switch {
	case cmd.HasSubCommands():
		cmd.Args = verb
		if !cmd.Runnable() {
			cmd.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
		}
	case check != nil:
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			if err := check(cmd, args); err != nil {
				return fmt.Errorf("%w; the command is: %s", err, cmd.UseLine())
			}
			return nil
		}
	}
	for _, c := range cmd.Commands() {
		explainArgs(c)
	}
}

// verb refuses any word: one that is a command's name never gets here.
func verb(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	names := verbs(cmd)
	hint := ""
	if meant := closest(args[0], names); meant != "" {
		hint = fmt.Sprintf("did you mean %q? ", meant)
	}
	return fmt.Errorf("unknown command %.64q for %q; %sits commands are: %s", args[0], cmd.CommandPath(), hint, strings.Join(names, ", "))
}

func verbs(cmd *cobra.Command) []string {
	var names []string
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() && c.Name() != "help" && c.Name() != "completion" {
			names = append(names, c.Name())
		}
	}
	return names
}

// closest is the name that the word most likely stands for, or "".
func closest(word string, names []string) string {
	const longest = 64
	word = strings.ToLower(word)
	best, least := "", 3 // two mistakes at most
	for _, name := range names {
		if len(word) > longest {
			break
		}
		d := spelling.Distance(word, name)
		if len(word) > 1 && strings.HasPrefix(name, word) {
			d = 1
		}
		if d < least && d < len(name) {
			best, least = name, d
		}
	}
	return best
}
