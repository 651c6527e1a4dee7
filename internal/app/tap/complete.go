package tap

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rind-project/rind/internal/network/capture"
	"github.com/rind-project/rind/internal/network/pipeline"
)

// completeFlags has a shell offer what a flag takes.
func completeFlags(root *cobra.Command) {
	const noFiles = cobra.ShellCompDirectiveNoFileComp
	for _, cmd := range root.Commands() {
		for flag, values := range map[string]cobra.CompletionFunc{
			"interface": func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
				return capture.Interfaces(), noFiles
			},
			"output":  cobra.FixedCompletions([]string{"table", "json"}, noFiles),
			"parsers": completeParsers,
			"speed":   cobra.FixedCompletions([]string{"max", "1", "10"}, noFiles),
			"to":      cobra.FixedCompletions([]string{"node"}, noFiles),
		} {
			if cmd.Flags().Lookup(flag) != nil {
				_ = cmd.RegisterFlagCompletionFunc(flag, values) // it fails for a flag that has one
			}
		}
	}
}

// completeParsers completes the last name of a list with commas.
func completeParsers(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
	before := typed[:1+strings.LastIndexByte(typed, ',')]
	names := pipeline.Parsers()
	if before == "" {
		names = append(names, "none")
	}
	names = slices.DeleteFunc(names, func(name string) bool { return slices.Contains(strings.Split(before, ","), name) })
	for i := range names {
		names[i] = before + names[i]
	}
	return names, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}
