package cli

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rind-project/rind/internal/api/wire"
	"github.com/rind-project/rind/internal/cli/client"
	"github.com/rind-project/rind/internal/cli/render"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/target"
)

// A kind of target is a flag that makes the whole target a term of its letter.
type targetKind struct {
	letter byte // also the flag; 'C' makes nothing of the target
	name   string
	usage  string
}

func targetKinds() []targetKind {
	return []targetKind{
		{'E', "regexp", "TARGET is a regular expression over ids"},
		{'L', "list", "TARGET is a list of ids: a,b,c"},
		{'G', "fact", "TARGET is a fact: os:Debian or mem.total>8GB"},
		{'P', "fact-regexp", `TARGET is a fact with a regular expression: kernel:^6\.`},
		{'I', "setting", "TARGET is a setting: role:web"},
		{'S', "subnet", "TARGET is a network or an address: 10.0.0.0/8"},
		{'N', "group", "TARGET is the name of a group"},
		{'C', "compound", "TARGET is an expression with and, or, not (as without this flag)"},
	}
}

// kindFlags are the flags that say of which kind a target is.
type kindFlags struct {
	chosen byte
	words  func() int // how many words stand before the flag that is being read
}

func (k *kindFlags) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	k.words = f.NArg
	for _, t := range targetKinds() {
		f.VarPF(&kindFlag{kinds: k, letter: t.letter}, t.name, string(t.letter), t.usage).NoOptDefVal = "true"
	}
}

// expression is the target as it is sent.
func (k *kindFlags) expression(typed string) string {
	switch k.chosen {
	case 0, 'C':
		return typed
	case 'L':
		return target.Of('L', strings.Join(strings.FieldsFunc(typed, func(r rune) bool { return r == ',' || r == ' ' }), ","))
	}
	return target.Of(k.chosen, typed)
}

// kindFlag is one of the flags. It stands before the target, so that a function
// is never robbed of an argument such as -L.
type kindFlag struct {
	kinds  *kindFlags
	letter byte
}

// String implements pflag.Value.
func (f *kindFlag) String() string {
	return strconv.FormatBool(f.kinds != nil && f.kinds.chosen == f.letter)
}

// Type implements pflag.Value.
func (*kindFlag) Type() string { return "bool" }

// Set implements pflag.Value.
func (f *kindFlag) Set(value string) error {
	switch yes, err := strconv.ParseBool(value); {
	case err != nil:
		return errors.New("it is true or false")
	case !yes:
		return nil
	case f.kinds.words() > 0:
		return fmt.Errorf("-%c stands before the target", f.letter)
	case f.kinds.chosen != 0 && f.kinds.chosen != f.letter:
		return fmt.Errorf("the target is of one kind, and -%c was given already; -C takes an expression of several", f.kinds.chosen)
	}
	f.kinds.chosen = f.letter
	return nil
}

// isKindFlag reports whether a word of the command line is one of the flags.
func isKindFlag(word string) bool {
	return slices.ContainsFunc(targetKinds(), func(t targetKind) bool {
		return word == "-"+string(t.letter) || word == "--"+t.name
	})
}

// pointed adds to an error about a target the target itself, with a caret under
// the column.
func pointed(err error, expr string) error {
	switch client.Kind(err) {
	case "invalid", "unavailable", "not_found", "too_large":
	default:
		return err
	}
	_, after, found := strings.Cut(err.Error(), ", column ")
	if !found {
		return err // about something else
	}
	_, bad := target.Parse(expr)
	if se, ok := errors.AsType[*target.SyntaxError](bad); ok {
		return fmt.Errorf("the target is wrong at column %d: %s\n  %s", se.Column, se.Msg, strings.ReplaceAll(se.Caret(), "\n", "\n  "))
	}
	// What reads well may still ask for what the server does not keep.
	number, msg, more := strings.Cut(after, ": ")
	column, no := strconv.Atoi(number)
	if !more || no != nil || column < 1 || column > len(expr)+1 {
		return err
	}
	se := &target.SyntaxError{Expr: expr, Column: column}
	return fmt.Errorf("the target cannot be answered, column %d: %s\n  %s", column, msg, strings.ReplaceAll(se.Caret(), "\n", "\n  "))
}

func (s *shell) targetCommand() *cobra.Command {
	var p paging
	var kinds kindFlags
	test := &cobra.Command{
		Use: "test TARGET", Short: "Show whom a target means, and why",
		Long: "Show which of the enrolled hosts TARGET means, what value of each host satisfied each term,\n" +
			"and how many hosts each term is true of by itself.",
		Example: "  rind target test 'web-* and G@os:Debian'\n" +
			"  rind target test -G 'mem.total>8GB'\n" +
			"  rind target test 'S@10.0.0.0/8 and not db*' -o json",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: s.completePeel,
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.testTarget(cmd.Context(), p, kinds.expression(args[0]))
		},
	}
	p.flags(test, 100)
	kinds.flags(test)
	return group("target", "Whom a target means", test)
}

func (s *shell) testTarget(ctx context.Context, p paging, expr string) error {
	var out fleet.TargetTest
	all, more, err := collect(ctx, p, "after", url.Values{"target": {expr}}, func(ctx context.Context, q url.Values) ([]fleet.TargetMatch, string, error) {
		var page wire.TargetOut
		err := s.get(ctx, "/targets/test", q, &page)
		out = page.TargetTest
		return page.Matches, page.Next, err
	})
	if err != nil {
		return pointed(err, expr)
	}
	out.Matches = all
	defer s.hintMore(more, len(all))
	if err := s.show(out, func() *render.Table { return reasons(out) }); err != nil || s.format != asTable {
		return err
	}
	return say(s.opts.Out, counts(out))
}

// reasons is a line for each term of each peel.
func reasons(out fleet.TargetTest) *render.Table {
	t := &render.Table{Columns: render.Columns("ID", "TERM", "MATCHES", "VALUE"), Empty: "nobody matches"}
	for _, m := range out.Matches {
		id := string(m.ID)
		for _, r := range m.Reasons {
			answer := "no"
			switch {
			case r.Matched:
				answer = "yes"
			case r.Unknown:
				answer = "unknown"
			}
			t.Add(id, r.Term, answer, strings.Join(r.Values, ", "))
			id = ""
		}
	}
	return t
}

// counts says how many hosts each term is true of.
func counts(out fleet.TargetTest) string {
	line := fmt.Sprintf("\n%d of %d enrolled hosts match", out.Matched, out.Peels)
	if len(out.Terms) < 2 {
		return line
	}
	terms := make([]string, len(out.Terms))
	for i, t := range out.Terms {
		terms[i] = fmt.Sprintf("%s %d", render.Line(t.Term), t.Matched)
	}
	return line + "; by itself: " + strings.Join(terms, ", ")
}
