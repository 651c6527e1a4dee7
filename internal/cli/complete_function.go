package cli

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rind-project/rind/internal/fleet/job/function/schema"
)

// completeFunction offers what peels run; a peel of another version has the
// last word.
func completeFunction() ([]cobra.Completion, cobra.ShellCompDirective) {
	var all []cobra.Completion
	for _, f := range schema.All() {
		all = append(all, cobra.CompletionWithDesc(f.Name, f.Summary()))
	}
	return all, noFiles
}

// completeArgument offers the optional arguments of a function that are not
// given yet, and the values of one whose name is there.
func completeArgument(name string, given []string, prefix string) ([]cobra.Completion, cobra.ShellCompDirective) {
	all := schema.All()
	i := slices.IndexFunc(all, func(f schema.Function) bool { return f.Name == name })
	if i < 0 {
		return nil, noFiles
	}
	if all[i].Family() == "sys" && len(given) == 0 {
		return completeFunction() // what it is about
	}
	var out []cobra.Completion
	for n, a := range all[i].Args {
		has := slices.ContainsFunc(given, func(w string) bool { return strings.HasPrefix(w, a.Name+"=") })
		switch {
		case has || a.Required && n != len(given):
		case a.Required:
			out = append(out, a.OneOf...)
			return cobra.AppendActiveHelp(out, strings.ToUpper(a.Name)+": "+a.Describe()), noFiles
		case strings.HasPrefix(prefix, a.Name+"="):
			for _, v := range values(a) {
				out = append(out, a.Name+"="+v)
			}
			return out, noFiles
		default:
			out = append(out, cobra.CompletionWithDesc(a.Name+"=", a.Describe()))
		}
	}
	return out, noFiles | cobra.ShellCompDirectiveNoSpace
}

func values(a schema.Arg) []string {
	if a.Type == schema.Bool {
		return []string{"true", "false"}
	}
	return a.OneOf
}
