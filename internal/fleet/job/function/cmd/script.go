package cmd

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet/job/function/local"
	"github.com/rind-project/rind/internal/fleet/job/function/schema"
)

// script writes the script into a folder of its own, which only the one who
// runs it may enter, and hands it to its interpreter: that works where files
// of the temporary folder may not be run.
func script(s *local.System) schema.Run {
	return func(ctx context.Context, c schema.Call) (res schema.Result, err error) {
		text := c.Args.Text("script")
		argv, err := interpreter(text)
		if err != nil {
			return schema.Result{}, err
		}
		dir, err := os.MkdirTemp("", "rind-script-")
		if err != nil {
			return schema.Result{}, fmt.Errorf("keeping the script: %w", err)
		}
		defer os.RemoveAll(dir)
		file := filepath.Join(dir, "script")
		if err := os.WriteFile(file, []byte(text), 0o500); err != nil {
			return schema.Result{}, fmt.Errorf("keeping the script: %w", err)
		}
		if err := hand(s, c.Args.Text("user"), dir, file); err != nil {
			return schema.Result{}, err
		}
		return execute(ctx, s, c, append(append(argv, file), c.Args.List("args")...))
	}
}

// hand gives folder and script to the user who runs it.
func hand(s *local.System, name string, paths ...string) error {
	if name == "" {
		return nil
	}
	if err := local.Root("running a script as another user"); err != nil {
		return err
	}
	u, err := s.User(name)
	if err != nil {
		return err
	}
	for _, p := range paths {
		if err := os.Chown(p, int(u.UID), int(u.GID)); err != nil {
			return fmt.Errorf("keeping the script: %w", err)
		}
	}
	return nil
}

// interpreter reads the first line as the kernel does: a path, and at most one
// argument, which may have blanks.
func interpreter(text string) ([]string, error) {
	line, _, _ := strings.Cut(text, "\n")
	rest, ok := strings.CutPrefix(line, "#!")
	if !ok {
		return []string{"/bin/sh"}, nil
	}
	path, arg, _ := strings.Cut(strings.TrimSpace(rest), " ")
	if !strings.HasPrefix(path, "/") {
		return nil, errs.New(errs.Invalid, "the first line of the script names no interpreter with an absolute path: %s", schema.Clip(line))
	}
	argv := []string{path}
	if arg = strings.TrimSpace(arg); arg != "" {
		argv = append(argv, arg)
	}
	return argv, nil
}
