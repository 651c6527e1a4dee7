package local

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/rind-project/rind/internal/base/errs"
)

// maxAccounts bounds what is read of /etc/passwd and /etc/group.
const maxAccounts = 20000

// User is a line of passwd(5).
type User struct {
	Name    string
	UID     uint32
	GID     uint32
	Comment string
	Home    string
	Shell   string
}

// Group is a line of group(5).
type Group struct {
	Name    string
	GID     uint32
	Members []string
}

// Users returns the local users, in the order of the file.
func (s *System) Users() ([]User, error) {
	text, err := s.Read("etc/passwd")
	if err != nil {
		return nil, err
	}
	var all []User
	for line := range strings.SplitSeq(text, "\n") {
		w := strings.Split(line, ":")
		if len(w) != 7 || len(all) == maxAccounts {
			continue
		}
		uid, err1 := id(w[2])
		gid, err2 := id(w[3])
		if w[0] == "" || err1 != nil || err2 != nil {
			continue
		}
		all = append(all, User{Name: Clean(w[0]), UID: uid, GID: gid, Comment: Clean(w[4]), Home: Clean(w[5]), Shell: Clean(w[6])})
	}
	return all, nil
}

// Groups returns the local groups, in the order of the file.
func (s *System) Groups() ([]Group, error) {
	text, err := s.Read("etc/group")
	if err != nil {
		return nil, err
	}
	var all []Group
	for line := range strings.SplitSeq(text, "\n") {
		w := strings.Split(line, ":")
		if len(w) != 4 || len(all) == maxAccounts {
			continue
		}
		gid, err := id(w[2])
		if w[0] == "" || err != nil {
			continue
		}
		g := Group{Name: Clean(w[0]), GID: gid}
		for m := range strings.SplitSeq(w[3], ",") {
			if m = Clean(m); m != "" {
				g.Members = append(g.Members, m)
			}
		}
		all = append(all, g)
	}
	return all, nil
}

func id(text string) (uint32, error) {
	n, err := strconv.ParseUint(text, 10, 32)
	return uint32(n), err
}

// User finds a local user by name.
func (s *System) User(name string) (User, error) {
	all, err := s.Users()
	if err != nil {
		return User{}, err
	}
	i := slices.IndexFunc(all, func(u User) bool { return u.Name == name })
	if i < 0 {
		return User{}, errs.New(errs.NotFound, "there is no local user %.40q", name)
	}
	return all[i], nil
}

// Group finds a local group by name.
func (s *System) Group(name string) (Group, error) {
	all, err := s.Groups()
	if err != nil {
		return Group{}, err
	}
	i := slices.IndexFunc(all, func(g Group) bool { return g.Name == name })
	if i < 0 {
		return Group{}, errs.New(errs.NotFound, "there is no local group %.40q", name)
	}
	return all[i], nil
}

// GroupsOf returns the numbers of all groups of a user.
func (s *System) GroupsOf(u User) ([]uint32, error) {
	all, err := s.Groups()
	if err != nil {
		return nil, err
	}
	out := []uint32{u.GID}
	for _, g := range all {
		if g.GID != u.GID && slices.Contains(g.Members, u.Name) {
			out = append(out, g.GID)
		}
	}
	return out, nil
}

// UID reads a user's name or number.
func (s *System) UID(text string) (int, error) {
	if n, err := id(text); err == nil && n != math.MaxUint32 {
		return int(n), nil
	}
	u, err := s.User(text)
	return int(u.UID), err
}

// GID reads a group's name or number.
func (s *System) GID(text string) (int, error) {
	if n, err := id(text); err == nil && n != math.MaxUint32 {
		return int(n), nil
	}
	g, err := s.Group(text)
	return int(g.GID), err
}

// Names gives numbers of users and groups their names.
type Names struct{ users, groups map[uint32]string }

// Names reads the local names. What cannot be read leaves numbers.
func (s *System) Names() Names {
	n := Names{users: map[uint32]string{}, groups: map[uint32]string{}}
	users, _ := s.Users()   // numbers are left
	groups, _ := s.Groups() // numbers are left
	for _, u := range slices.Backward(users) {
		n.users[u.UID] = u.Name
	}
	for _, g := range slices.Backward(groups) {
		n.groups[g.GID] = g.Name
	}
	return n
}

// User is the name of a user's number, or the number.
func (n Names) User(uid uint32) string { return name(n.users, uid) }

// Group is the name of a group's number, or the number.
func (n Names) Group(gid uint32) string { return name(n.groups, gid) }

func name(of map[uint32]string, number uint32) string {
	if s, ok := of[number]; ok {
		return s
	}
	return strconv.FormatUint(uint64(number), 10)
}
