package wire

import "github.com/rind-project/rind/internal/fleet"

// GroupsOut is every named group, sorted by name.
type GroupsOut struct {
	Groups []fleet.Group `json:"groups"`
}

// GroupName names a group.
type GroupName struct {
	Name string `path:"name" doc:"name of the group"`
}

// GroupIn says what a group stands for.
type GroupIn struct {
	Name   string `path:"name" json:"-" doc:"name of the group"`
	Target string `json:"target" required:"true" doc:"target expression; it may name other groups"`
}
