package web

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/web/live"
)

// The topics of changes, which are also the names of the events.
const (
	topicPeels   = "peels"   // hosts, jobs and enrollments
	topicNetwork = "network" // reports
	topicEvents  = "events"  // what hosts and people tell of
)

const (
	changesEvery = time.Second // at most one event of a topic in this time
	reportsEvery = 10 * time.Second
)

// changes sends the name of each topic that changed; the page then fetches
// what it shows.
func (w *Web) changes(rw http.ResponseWriter, r *http.Request) error {
	topics := strings.Split(r.URL.Query().Get("topics"), ",")
	for _, t := range topics {
		if t != topicPeels && t != topicNetwork && t != topicEvents {
			return errs.New(errs.Invalid, "the topics are peels, network and events")
		}
	}
	s, err := w.hub.Open(rw, r)
	if err != nil {
		return err
	}
	defer s.Close()
	var sources []live.Source
	if slices.Contains(topics, topicPeels) && w.Fleet != nil {
		sources = append(sources, live.Source{Name: topicPeels, Changes: w.Fleet.Changes(s.Context())})
	}
	if slices.Contains(topics, topicEvents) && w.Events != nil {
		sources = append(sources, live.Source{Name: topicEvents, Changes: w.Events.Changes(s.Context())})
	}
	if slices.Contains(topics, topicNetwork) && w.Traffic != nil {
		reports := w.Reports
		if reports == nil {
			sources = append(sources, live.Source{Name: topicNetwork, Changes: live.Every(s.Context(), reportsEvery)})
		} else {
			sources = append(sources, live.Source{Name: topicNetwork, Changes: reports(s.Context())})
		}
	}
	changed := live.Merge(s.Context(), changesEvery, sources...)
	for {
		select {
		case names, ok := <-changed:
			if !ok {
				return nil
			}
			for _, name := range names {
				if s.Send(name, "changed") != nil {
					return nil
				}
			}
		case <-s.Beat():
			if s.Idle() != nil {
				return nil
			}
		case <-s.Context().Done():
			return nil
		}
	}
}
