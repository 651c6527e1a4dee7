// Package user holds the functions about local users and groups. They read
// /etc/passwd and /etc/group themselves, and change them by the host's own
// tools: those of the shadow suite, or busybox for what these can do.
package user

import (
	"context"
	"regexp"
	"slices"
	"strings"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet/job/function/local"
	"github.com/rind-project/rind/internal/fleet/job/function/schema"
)

// Info is a user.
type Info struct {
	Name    string `json:"name"`
	UID     uint32 `json:"uid"`
	GID     uint32 `json:"gid"`
	Groups  string `json:"groups"` // names, the main one first
	Home    string `json:"home"`
	Shell   string `json:"shell"`
	Comment string `json:"comment,omitempty"`
}

// tool runs the host's tools.
type tool struct{ sys *local.System }

// Runs are the functions user.* and group.*.
func Runs(s *local.System) map[string]schema.Run {
	t := tool{s}
	return map[string]schema.Run{
		"user.list": t.users, "user.info": t.user, "user.add": t.add, "user.remove": t.remove, "user.mod": t.mod,
		"group.list": t.groups, "group.info": t.group, "group.add": t.addGroup, "group.remove": t.removeGroup, "group.mod": t.modGroup,
	}
}

func (t tool) users(context.Context, schema.Call) (schema.Result, error) {
	users, err := t.sys.Users()
	if err != nil {
		return schema.Result{}, err
	}
	groups, err := t.sys.Groups()
	if err != nil {
		return schema.Result{}, err
	}
	of, name := map[string][]string{}, map[uint32]string{}
	for _, g := range slices.Backward(groups) {
		name[g.GID] = g.Name
	}
	for _, g := range groups {
		for _, m := range g.Members {
			of[m] = append(of[m], g.Name)
		}
	}
	out := make([]Info, 0, len(users))
	for _, u := range users {
		all := of[u.Name]
		if main := name[u.GID]; main != "" {
			all = append([]string{main}, slices.DeleteFunc(all, func(g string) bool { return g == main })...)
		}
		out = append(out, Info{Name: u.Name, UID: u.UID, GID: u.GID, Groups: strings.Join(all, ","), Home: u.Home, Shell: u.Shell, Comment: u.Comment})
	}
	return schema.Result{Value: out}, nil
}

// find returns a user, or nil when there is none.
func (t tool) find(name string) (*Info, error) {
	res, err := t.users(context.Background(), schema.Call{})
	if err != nil {
		return nil, err
	}
	for _, u := range res.Value.([]Info) {
		if u.Name == name {
			return &u, nil
		}
	}
	return nil, nil
}

func (t tool) user(_ context.Context, c schema.Call) (schema.Result, error) {
	u, err := t.find(c.Args.Text("name"))
	if err == nil && u == nil {
		err = errs.New(errs.NotFound, "there is no local user %s", schema.Clip(c.Args.Text("name")))
	}
	return schema.Result{Value: u}, err
}

// What a user or group can be called where these functions make one; and what a
// field of /etc/passwd may hold.
var (
	nameForm = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]{0,31}$`)
	pathForm = regexp.MustCompile(`^/[^:\n\r]*$`)
	textForm = regexp.MustCompile(`^[^:\n\r-][^:\n\r]*$`)
	refForm  = regexp.MustCompile(`^([A-Za-z_][A-Za-z0-9_.-]{0,31}|[0-9]{1,10})$`)
)

// check holds the arguments that are given against their forms.
func check(args schema.Values) error {
	for _, field := range []struct {
		name string
		form *regexp.Regexp
	}{{"name", nameForm}, {"home", pathForm}, {"shell", pathForm}, {"comment", textForm}, {"group", refForm}} {
		if text, given := args[field.name].(string); given && !field.form.MatchString(text) {
			return errs.New(errs.Invalid, "%s cannot be the %s of an account", schema.Clip(text), field.name)
		}
	}
	for _, list := range []string{"groups", "add", "remove"} {
		for _, n := range args.List(list) {
			if !refForm.MatchString(n) {
				return errs.New(errs.Invalid, "%s is no name of an account", schema.Clip(n))
			}
		}
	}
	return nil
}

// change runs what changes an account, between a look before and one after.
func change[T any](args schema.Values, find func(string) (*T, error), run func(old *T) error) (schema.Result, error) {
	if err := check(args); err != nil {
		return schema.Result{}, err
	}
	name := args.Text("name")
	old, err := find(name)
	if err != nil {
		return schema.Result{}, err
	}
	out := local.Change{Test: args.Bool("test")}
	if old != nil {
		out.Old = *old
	}
	if out.Test {
		out.Changed = true
		return schema.Result{Value: out.Commentf("it would be changed, unless it is so already")}, nil
	}
	if err := run(old); err != nil {
		return schema.Result{}, err
	}
	now, err := find(name)
	if err != nil {
		return schema.Result{}, err
	}
	if now != nil {
		out.New = *now
	}
	return schema.Result{Value: out}, nil
}
