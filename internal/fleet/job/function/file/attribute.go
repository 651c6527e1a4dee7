package file

import (
	"os"
	"syscall"

	"github.com/rind-project/rind/internal/fleet/job/function/local"
	"github.com/rind-project/rind/internal/fleet/job/function/schema"
)

// attribute is who may do what with a file.
type attribute struct{ mode, uid, gid uint32 }

// attributes are those of a file; of none when info is nil.
func attributes(info os.FileInfo) *attribute {
	if info == nil {
		return &attribute{}
	}
	sys, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return &attribute{}
	}
	return &attribute{mode: sys.Mode & 0o7777, uid: sys.Uid, gid: sys.Gid}
}

// wanted is what the arguments ask for, beside what is there.
func wanted(s *local.System, args schema.Values, info os.FileInfo) (*attribute, error) {
	want := attributes(info)
	if info == nil {
		want = &attribute{mode: 0o644, uid: uint32(os.Geteuid()), gid: uint32(os.Getegid())}
	}
	if text := args.Text("mode"); text != "" {
		mode, err := parseMode(text)
		if err != nil {
			return nil, err
		}
		want.mode = mode
	}
	if text := args.Text("owner"); text != "" {
		uid, err := s.UID(text)
		if err != nil {
			return nil, err
		}
		want.uid = uint32(uid)
	}
	if text := args.Text("group"); text != "" {
		gid, err := s.GID(text)
		if err != nil {
			return nil, err
		}
		want.gid = uint32(gid)
	}
	return want, nil
}

// shown is an attribute for people.
type shown struct {
	Mode  string `json:"mode"`
	Owner string `json:"owner"`
	Group string `json:"group"`
}

func (a *attribute) show(names local.Names) any {
	if *a == (attribute{}) {
		return nil
	}
	return shown{Mode: digits(a.mode), Owner: names.User(a.uid), Group: names.Group(a.gid)}
}
