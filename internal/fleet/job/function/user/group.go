package user

import (
	"context"
	"strconv"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet/job/function/schema"
)

func (t tool) addGroup(ctx context.Context, c schema.Call) (schema.Result, error) {
	return outcome(change(c.Args, t.findGroup, func(old *GroupInfo) error {
		if old != nil {
			return errs.New(errs.Conflict, "there is a group %s already, with the number %d", old.Name, old.GID)
		}
		argv := []string{"groupadd"}
		system := "-r"
		if !t.has("groupadd") && t.has("addgroup") {
			argv, system = []string{"addgroup"}, "-S"
		}
		if c.Args.Has("gid") {
			argv = append(argv, "-g", strconv.Itoa(c.Args.Int("gid")))
		}
		if c.Args.Bool("system") {
			argv = append(argv, system)
		}
		return t.do(ctx, append(argv, c.Args.Text("name"))...)
	}))
}

func (t tool) removeGroup(ctx context.Context, c schema.Call) (schema.Result, error) {
	return outcome(change(c.Args, t.findGroup, func(old *GroupInfo) error {
		switch {
		case old == nil:
			return nil
		case old.GID == 0:
			return errs.New(errs.Forbidden, "%s has the number 0 and is not removed", old.Name)
		case t.has("groupdel"):
			return t.do(ctx, "groupdel", old.Name)
		}
		return t.do(ctx, "delgroup", old.Name)
	}))
}

// modGroup changes number and members. Tools of the shadow suite take one
// member at a time.
func (t tool) modGroup(ctx context.Context, c schema.Call) (schema.Result, error) {
	return outcome(change(c.Args, t.findGroup, func(old *GroupInfo) error {
		if old == nil {
			return errs.New(errs.NotFound, "there is no local group %s; group.add makes one", schema.Clip(c.Args.Text("name")))
		}
		if c.Args.Has("gid") {
			if err := t.do(ctx, "groupmod", "-g", strconv.Itoa(c.Args.Int("gid")), old.Name); err != nil {
				return err
			}
		}
		add, del := []string{"gpasswd", "-a"}, []string{"gpasswd", "-d"}
		if !t.has("gpasswd") {
			add, del = []string{"addgroup"}, []string{"delgroup"}
		}
		for _, m := range c.Args.List("add") {
			if err := t.do(ctx, append(add[:len(add):len(add)], m, old.Name)...); err != nil {
				return err
			}
		}
		for _, m := range c.Args.List("remove") {
			if err := t.do(ctx, append(del[:len(del):len(del)], m, old.Name)...); err != nil {
				return err
			}
		}
		return nil
	}))
}
