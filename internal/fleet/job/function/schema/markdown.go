package schema

import (
	"fmt"
	"strconv"
	"strings"
)

// Markdown is the reference page of functions.
func Markdown(all []Function) string {
	var b strings.Builder
	b.WriteString("# Functions on hosts\n\n" +
		"What `rind TARGET FUNCTION [ARG…]` can run on a host. Arguments in capitals are required and come first, in their order;\n" +
		"the others are given as `name=value`, or by position. `rind TARGET sys.doc NAME` shows the same from a host.\n" +
		"A function that only reads is answered while a long job runs.\n\n" +
		"This page is made of the functions' schema: `go test ./internal/fleet/job/function/schema -update`.\n")
	aliases := map[string][]string{}
	for _, f := range all {
		if f.Alias != "" {
			aliases[f.Alias] = append(aliases[f.Alias], "`"+f.Name+"`")
		}
	}
	family := ""
	for _, f := range all {
		if f.Alias != "" {
			continue
		}
		if f.Family() != family {
			family = f.Family()
			fmt.Fprintf(&b, "\n## %s\n", family)
		}
		f.markdown(&b, aliases[f.Name])
	}
	return b.String()
}

func (f Function) markdown(b *strings.Builder, aliases []string) {
	fmt.Fprintf(b, "\n### %s\n\n%s\n\n    rind '*' %s\n", f.Name, f.Doc, strings.TrimSpace(f.Name+" "+f.Example))
	if len(f.Args) > 0 {
		b.WriteString("\n| argument | type | default | |\n|---|---|---|---|\n")
	}
	for _, a := range f.Args {
		name := "`" + a.Name + "`"
		if a.Required {
			name = "`" + strings.ToUpper(a.Name) + "`"
		}
		if a.Many {
			name += " …"
		}
		def := ""
		if a.Default != "" {
			def = "`" + a.Default + "`"
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s |\n", name, a.Type, def, strings.ReplaceAll(a.Describe(), "|", `\|`))
	}
	notes := []string{"Changes the host."}
	switch {
	case f.ReadOnly:
		notes[0] = "Only reads."
	case f.Elsewhere:
		notes[0] = "Changes nothing on the host, but what the masters keep."
	}
	notes = append(notes, "Platforms: "+strings.Join(f.Platforms, ", ")+".")
	if len(aliases) > 0 {
		notes = append(notes, "Also called "+strings.Join(aliases, ", ")+".")
	}
	b.WriteString("\n" + strings.Join(notes, " ") + "\n")
}

// Describe is the documentation of an argument with its limits.
func (a Arg) Describe() string {
	s := a.Doc
	if len(a.OneOf) > 0 {
		s += " (" + strings.Join(a.OneOf, ", ") + ")"
	}
	if a.Max > 0 && (a.Type == Int || a.Type == Size) {
		s += "; at most " + strconv.FormatInt(a.Max, 10)
	}
	return s
}
