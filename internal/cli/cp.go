package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/rind-project/rind/internal/api/wire"
	"github.com/rind-project/rind/internal/fleet/target"
)

// cpFlags are what may be said of a copy.
type cpFlags struct {
	mode, user, group string
	timeout           time.Duration
}

func (s *shell) cpCommand() *cobra.Command {
	var how cpFlags
	cmd := &cobra.Command{
		Use: "cp FILE TARGET:/PATH  |  cp TARGET:/PATH FOLDER", Short: "Bring a file to hosts, or fetch one from them",
		Long: "Bring a file of any size to hosts, or fetch one from each of them into FOLDER/HOST/.\n\n" +
			"Files travel in chunks, each hashed and the whole hashed. What was interrupted goes on where it was\n" +
			"when the same command is given again. On hosts a file takes its place at once, when it is whole.\n" +
			"A path that ends with a slash is a folder on the hosts. Exit codes are those of rind run.",
		Example: "  rind cp app.tar 'web-*:/srv/app.tar'\n" +
			"  rind cp motd 'N@web and G@os:Debian:/etc/' --mode 0644 --user root\n" +
			"  rind cp image.qcow2 'L@kvm-1,kvm-2:/var/lib/images/' --timeout 2h\n" +
			"  rind cp 'web-*:/var/log/syslog' ./logs",
		Args: cobra.ExactArgs(2), ValidArgsFunction: s.completeCp,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			return s.cp(ctx, args[0], args[1], how)
		},
	}
	f := cmd.Flags()
	f.StringVar(&how.mode, "mode", "", "permission on the hosts in octal digits (that of the file that is there, or 0644, without it)")
	f.StringVar(&how.user, "user", "", "owner on the hosts")
	f.StringVar(&how.group, "group", "", "group on the hosts")
	f.DurationVar(&how.timeout, "timeout", 15*time.Minute, "how long each host may take")
	return cmd
}

func (s *shell) cp(ctx context.Context, from, to string, how cpFlags) error {
	source, isRemote := splitRemote(from)
	dest, toRemote := splitRemote(to)
	switch {
	case isRemote && toRemote:
		return errors.New("one side is a file here: copying from hosts to hosts is two commands")
	case toRemote:
		return s.bring(ctx, from, dest, how)
	case !isRemote:
		return errors.New("one side is TARGET:/PATH, with an absolute path on the hosts, such as 'web-*:/etc/motd'")
	case how.mode+how.user+how.group != "":
		return errors.New("--mode, --user and --group are for files on hosts")
	}
	return s.fetch(ctx, source, to, how)
}

// remote is a path on hosts.
type remote struct{ target, path string }

// splitRemote takes TARGET:/PATH apart: at the first colon with a slash behind
// it that leaves a target, or at the last when none does. What begins like a
// path here is one.
func splitRemote(text string) (remote, bool) {
	if text == "" || strings.HasPrefix(text, "/") || strings.HasPrefix(text, "./") || strings.HasPrefix(text, "../") {
		return remote{}, false
	}
	for at := 0; ; {
		n := strings.Index(text[at:], ":/")
		if n < 0 {
			last := strings.LastIndex(text, ":/")
			if last < 1 {
				return remote{}, false
			}
			return remote{text[:last], text[last+1:]}, true
		}
		at += n
		if _, err := target.Parse(text[:at]); err == nil && at > 0 {
			return remote{text[:at], text[at+1:]}, true
		}
		at++
	}
}

// bring uploads a file, and has hosts get it.
func (s *shell) bring(ctx context.Context, local string, dest remote, how cpFlags) error {
	if strings.HasSuffix(dest.path, "/") {
		dest.path = path.Join(dest.path, filepath.Base(local))
	}
	c, err := s.client(ctx)
	if err != nil {
		return err
	}
	in := wire.JobIn{Target: dest.target, Function: "cp.get", Args: []string{"", dest.path}, Timeout: wire.Span(how.timeout)}
	for _, arg := range [][2]string{{"mode", how.mode}, {"user", how.user}, {"group", how.group}} {
		if arg[1] != "" {
			in.Args = append(in.Args, arg[0]+"="+arg[1])
		}
	}
	// Whom it is for, before the file, which may take long.
	if err := c.Post(ctx, "/jobs/plan", in, nil); err != nil {
		return pointed(err, dest.target)
	}
	if in.Args[0], err = s.upload(ctx, c, local); err != nil {
		return err
	}
	return s.run(ctx, in)
}

func (s *shell) completeCp(cmd *cobra.Command, args []string, prefix string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 1 || strings.HasPrefix(prefix, ".") || strings.HasPrefix(prefix, "/") {
		return nil, cobra.ShellCompDirectiveDefault
	}
	all, _ := s.completePeel(cmd, nil, prefix)
	for i := range all {
		name, about, _ := strings.Cut(all[i], "\t")
		all[i] = cobra.CompletionWithDesc(name+":/", about)
	}
	return all, cobra.ShellCompDirectiveDefault | cobra.ShellCompDirectiveNoSpace
}

// interrupted words that a transfer did not come to its end.
func interrupted(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return errors.New("interrupted; the same command goes on where it was")
	}
	return fmt.Errorf("%w; the same command goes on where it was", err)
}
