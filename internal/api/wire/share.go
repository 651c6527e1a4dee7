package wire

import (
	"encoding/json"

	"github.com/rind-project/rind/internal/fleet"
)

// BasketIn asks which values hosts share.
type BasketIn struct {
	Target string `query:"target" maxlen:"16384" doc:"target expression; all hosts without it"`
	Name   string `query:"name" doc:"only values with this name"`
	Limit  int    `query:"limit" default:"100" min:"1" max:"1000" doc:"values in one page"`
	After  string `query:"after" doc:"next of the page before"`
}

// BasketValuesIn asks what hosts share under a name.
type BasketValuesIn struct {
	Name   string `path:"name" doc:"name of the values"`
	Target string `query:"target" maxlen:"16384" doc:"target expression; all hosts without it"`
	Limit  int    `query:"limit" default:"100" min:"1" max:"1000" doc:"values in one page"`
	After  string `query:"after" doc:"next of the page before"`
}

// BasketOut is a page of shared values, sorted by host and name.
type BasketOut struct {
	Items []fleet.BasketItem `json:"items"`
	Next  string             `json:"next,omitempty" doc:"after of the next page; absent on the last"`
}

// EventIn tells of an event.
type EventIn struct {
	Name string          `json:"name" required:"true" doc:"name of the event, such as deploy.done"`
	Data json.RawMessage `json:"data,omitempty" doc:"what there is to know, at most 32 KiB"`
}

// EventsIn asks for events.
type EventsIn struct {
	Glob  string `query:"glob" default:"*" doc:"glob of names, such as disk.* or job/*"`
	Since When   `query:"since" doc:"not older; 1h without it"`
	After uint64 `query:"after" doc:"next of the page before, in place of since"`
	Limit int    `query:"limit" default:"100" min:"1" max:"1000" doc:"events in one page, from old to new"`
	// Latest leaves out the older ones instead of the newer ones.
	Latest bool `query:"latest" doc:"the newest events since then, from old to new and without further pages; not together with after"`
}

// EventsOut is a page of events, from old to new. A page may be short although
// there is a next one.
type EventsOut struct {
	Events []fleet.Event `json:"events"`
	Next   uint64        `json:"next,omitempty" doc:"after of the next page; absent on the last"`
}

// EventsWatchIn asks for events as they come.
type EventsWatchIn struct {
	Glob  string `query:"glob" default:"*" doc:"glob of names, such as disk.* or job/*"`
	Since When   `query:"since" doc:"those since then first; only new ones without it"`
	After uint64 `query:"after" doc:"those behind this seq first, in place of since"`
}

// EventsPlace says where new events begin.
type EventsPlace struct {
	Seq uint64 `json:"seq" doc:"events come that are behind this one; it is an after, too"`
}

// EventsLost says that events were gone before they could be shown.
type EventsLost struct {
	Events uint64 `json:"events" doc:"how many, of any name"`
}
