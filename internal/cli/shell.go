package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/rind-project/rind/internal/cli/client"
	"github.com/rind-project/rind/internal/cli/render"
)

// shell is what all commands share: the global flags, and how to ask and show.
type shell struct {
	opts   Options
	format string
	socket string
	wide   bool
}

// The formats of answers.
const (
	asTable  = "table"
	asJSON   = "json"
	asYAML   = "yaml"
	asNDJSON = "ndjson"
)

var formats = []string{asTable, asJSON, asYAML, asNDJSON}

func (s *shell) flags(root *cobra.Command) {
	f := root.PersistentFlags()
	f.StringVarP(&s.format, "output", "o", asTable, "format of the answer: table, json, yaml or ndjson (one JSON value per line)")
	f.StringVar(&s.socket, "socket", "", "unix socket of the server (environment RIND_SOCKET)")
	f.BoolVar(&s.wide, "wide", false, "do not cut long cells of tables")
	_ = root.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(formats, cobra.ShellCompDirectiveNoFileComp))
}

func (s *shell) checkFormat() error {
	for _, f := range formats {
		if s.format == f {
			return nil
		}
	}
	return fmt.Errorf("%q is no format of answers: use one of %s", s.format, strings.Join(formats, ", "))
}

// client opens the way to the server.
func (s *shell) client(ctx context.Context) (*client.Client, error) {
	target, err := s.target()
	if err != nil {
		return nil, err
	}
	return client.Open(ctx, target)
}

// get asks for a path and decodes the answer.
func (s *shell) get(ctx context.Context, path string, query url.Values, out any) error {
	c, err := s.client(ctx)
	if err != nil {
		return err
	}
	return c.Get(ctx, path, query, out)
}

// post sends a body and decodes the answer, when out is not nil.
func (s *shell) post(ctx context.Context, path string, in, out any) error {
	c, err := s.client(ctx)
	if err != nil {
		return err
	}
	return c.Post(ctx, path, in, out)
}

// paint colours on a terminal only.
func (s *shell) paint() render.Paint {
	if s.opts.Colour != nil {
		return render.Paint(*s.opts.Colour)
	}
	if s.opts.Env("NO_COLOR") != "" || s.opts.Env("TERM") == "dumb" {
		return false
	}
	f, ok := s.opts.Out.(*os.File)
	return render.Paint(ok && term.IsTerminal(int(f.Fd())))
}

// width is where lists of names are wrapped.
func (s *shell) width() int {
	if f, ok := s.opts.Out.(*os.File); ok {
		if w, _, err := term.GetSize(int(f.Fd())); err == nil && w > 20 {
			return w
		}
	}
	return s.opts.Width
}

// show writes an answer in the format that was asked for.
func (s *shell) show(value any, table func() *render.Table) error {
	switch s.format {
	case asJSON:
		return render.JSON(s.opts.Out, value)
	case asYAML:
		return render.YAML(s.opts.Out, value)
	case asNDJSON:
		return render.NDJSON(s.opts.Out, value)
	}
	t := table()
	t.Wide = t.Wide || s.wide
	return t.Write(s.opts.Out, s.paint())
}

// showList writes the items of a list. As lines of JSON each is one line.
func showList[T any](s *shell, items []T, table func() *render.Table) error {
	if s.format != asNDJSON {
		return s.show(items, table)
	}
	for _, item := range items {
		if err := render.NDJSON(s.opts.Out, item); err != nil {
			return err
		}
	}
	return nil
}

// done says that something was done, to people only.
func (s *shell) done(format string, args ...any) error {
	if s.format != asTable {
		return nil
	}
	return say(s.opts.Out, render.Line(fmt.Sprintf(format, args...)))
}

// hint tells people something that is no part of the answer.
func (s *shell) hint(format string, args ...any) {
	_ = say(s.opts.Err, fmt.Sprintf(format, args...)) // nobody is left to be told
}

func say(w io.Writer, line string) error {
	_, err := fmt.Fprintln(w, line)
	return err
}

func (s *shell) ago(t time.Time) string { return render.Ago(s.opts.Now(), t) }

// fields is a table of names and values for one thing.
func fields(pairs ...string) func() *render.Table {
	return func() *render.Table {
		t := &render.Table{Columns: render.Columns("FIELD", "VALUE"), Wide: true} // nothing stands behind a value
		for i := 0; i+1 < len(pairs); i += 2 {
			if pairs[i+1] != "" {
				t.Add(pairs[i], pairs[i+1])
			}
		}
		return t
	}
}

// secret reads one line from the standard input; on a terminal it asks for it
// and shows nothing of what is typed.
func (s *shell) secret(what string) (string, error) {
	if f, ok := s.opts.In.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		_, _ = fmt.Fprintf(s.opts.Err, "%s: ", what)
		typed, err := term.ReadPassword(int(f.Fd()))
		_, _ = fmt.Fprintln(s.opts.Err)
		if err != nil {
			return "", fmt.Errorf("reading the %s: %w", what, err)
		}
		return checkSecret(what, string(typed))
	}
	const longest = 4096
	piped, err := io.ReadAll(io.LimitReader(s.opts.In, longest+1))
	if err != nil {
		return "", fmt.Errorf("reading the %s: %w", what, err)
	}
	if len(piped) > longest {
		return "", fmt.Errorf("the %s on the standard input has over %d bytes", what, longest)
	}
	line, _, _ := strings.Cut(string(piped), "\n")
	return checkSecret(what, strings.TrimSuffix(line, "\r"))
}

func checkSecret(what, s string) (string, error) {
	if s == "" {
		return "", errors.New("the " + what + " is empty; type it, or pipe it in")
	}
	return s, nil
}
