package user

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet/job/function/local"
	"github.com/rind-project/rind/internal/fleet/job/function/schema"
)

// outcome sets Changed by what is different.
func outcome(res schema.Result, err error) (schema.Result, error) {
	if c, ok := res.Value.(local.Change); ok && !c.Test {
		c.Changed = c.Old != c.New
		if !c.Changed {
			c.Old, c.New = nil, nil
			c.Comment = "it is so already"
		}
		res.Value = c
	}
	return res, err
}

// do runs a tool as root.
func (t tool) do(ctx context.Context, argv ...string) error {
	if err := local.Root(argv[0]); err != nil && t.sys.Root == "" {
		return err
	}
	_, err := t.sys.Do(ctx, argv, nil)
	return err
}

func (t tool) has(program string) bool {
	_, ok := t.sys.Look(program)
	return ok
}

// flags are the options that useradd and usermod have in common.
func flags(args schema.Values) []string {
	var out []string
	if args.Has("uid") {
		out = append(out, "-u", strconv.Itoa(args.Int("uid")))
	}
	for _, f := range []struct{ flag, arg string }{{"-g", "group"}, {"-d", "home"}, {"-s", "shell"}, {"-c", "comment"}} {
		if args.Has(f.arg) {
			out = append(out, f.flag, args.Text(f.arg))
		}
	}
	if args.Has("groups") {
		out = append(out, "-G", strings.Join(args.List("groups"), ","))
	}
	return out
}

func (t tool) add(ctx context.Context, c schema.Call) (schema.Result, error) {
	return outcome(change(c.Args, t.find, func(old *Info) error {
		if old != nil {
			return errs.New(errs.Conflict, "there is a user %s already, with the number %d; user.mod changes it", old.Name, old.UID)
		}
		name := c.Args.Text("name")
		if !t.has("useradd") && t.has("adduser") {
			return t.addBusybox(ctx, c.Args)
		}
		argv := append([]string{"useradd"}, flags(c.Args)...)
		switch {
		case c.Args.Bool("system"):
			argv = append(argv, "-r", "-M")
		case c.Args.Bool("create_home"):
			argv = append(argv, "-m")
		default:
			argv = append(argv, "-M")
		}
		return t.do(ctx, append(argv, "--", name)...)
	}))
}

// addBusybox adds a user by busybox's adduser, and the groups one by one.
func (t tool) addBusybox(ctx context.Context, args schema.Values) error {
	argv := []string{"adduser", "-D"}
	if args.Has("uid") {
		argv = append(argv, "-u", strconv.Itoa(args.Int("uid")))
	}
	for _, f := range []struct{ flag, arg string }{{"-G", "group"}, {"-h", "home"}, {"-s", "shell"}, {"-g", "comment"}} {
		if args.Has(f.arg) {
			argv = append(argv, f.flag, args.Text(f.arg))
		}
	}
	if args.Bool("system") {
		argv = append(argv, "-S")
	}
	if args.Bool("system") || !args.Bool("create_home") {
		argv = append(argv, "-H")
	}
	name := args.Text("name")
	if err := t.do(ctx, append(argv, name)...); err != nil {
		return err
	}
	for _, g := range args.List("groups") {
		if err := t.do(ctx, "addgroup", name, g); err != nil {
			return err
		}
	}
	return nil
}

func (t tool) remove(ctx context.Context, c schema.Call) (schema.Result, error) {
	return outcome(change(c.Args, t.find, func(old *Info) error {
		switch {
		case old == nil:
			return nil
		case old.UID == 0:
			return errs.New(errs.Forbidden, "%s has the number 0 and is not removed", old.Name)
		case t.has("userdel") && c.Args.Bool("home"):
			return t.do(ctx, "userdel", "-r", "--", old.Name)
		case t.has("userdel"):
			return t.do(ctx, "userdel", "--", old.Name)
		case c.Args.Bool("home"):
			return t.do(ctx, "deluser", "--remove-home", old.Name)
		}
		return t.do(ctx, "deluser", old.Name)
	}))
}

func (t tool) mod(ctx context.Context, c schema.Call) (schema.Result, error) {
	res, err := outcome(change(c.Args, t.find, func(old *Info) error {
		if old == nil {
			return errs.New(errs.NotFound, "there is no local user %s; user.add makes one", schema.Clip(c.Args.Text("name")))
		}
		argv := flags(c.Args)
		if c.Args.Bool("append") && c.Args.Has("groups") {
			argv = append(argv, "-a")
		}
		switch c.Args.Text("lock") {
		case "true":
			argv = append(argv, "-L")
		case "false":
			argv = append(argv, "-U")
		}
		if len(argv) == 0 {
			return errs.New(errs.Invalid, "nothing is said about what to change; usage: user.mod NAME groups=… shell=… lock=true")
		}
		return t.do(ctx, append(append([]string{"usermod"}, argv...), "--", old.Name)...)
	}))
	// A lock is not seen in what everybody may read.
	if out, ok := res.Value.(local.Change); ok && err == nil && c.Args.Has("lock") && !out.Test {
		out.Changed, out.Comment = true, "the lock of the password is set to "+c.Args.Text("lock")
		res.Value = out
	}
	return res, err
}

// GroupInfo is a group.
type GroupInfo struct {
	Name    string `json:"name"`
	GID     uint32 `json:"gid"`
	Members string `json:"members"`
}

func (t tool) groups(context.Context, schema.Call) (schema.Result, error) {
	all, err := t.sys.Groups()
	out := make([]GroupInfo, 0, len(all))
	for _, g := range all {
		out = append(out, GroupInfo{Name: g.Name, GID: g.GID, Members: strings.Join(g.Members, ",")})
	}
	return schema.Result{Value: out}, err
}

func (t tool) findGroup(name string) (*GroupInfo, error) {
	res, err := t.groups(context.Background(), schema.Call{})
	if err != nil {
		return nil, err
	}
	all := res.Value.([]GroupInfo)
	if i := slices.IndexFunc(all, func(g GroupInfo) bool { return g.Name == name }); i >= 0 {
		return &all[i], nil
	}
	return nil, nil
}

func (t tool) group(_ context.Context, c schema.Call) (schema.Result, error) {
	g, err := t.findGroup(c.Args.Text("name"))
	if err == nil && g == nil {
		err = errs.New(errs.NotFound, "there is no local group %s", schema.Clip(c.Args.Text("name")))
	}
	return schema.Result{Value: g}, err
}
