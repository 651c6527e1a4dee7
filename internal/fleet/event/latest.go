package event

import (
	"context"
	"slices"

	"github.com/rind-project/rind/internal/fleet"
)

// Latest returns the newest events of a stretch of time, from new to old. Of a
// long stretch it looks at the newest 100,000 events.
func (s *Service) Latest(ctx context.Context, q Query) ([]fleet.Event, error) {
	l, err := s.running()
	if err != nil {
		return nil, err
	}
	g, err := parseGlob(q.Glob)
	if err != nil {
		return nil, err
	}
	if q.Limit <= 0 || q.Limit > maxPage {
		q.Limit = maxPage
	}
	var out []fleet.Event
	entries, err := s.read(ctx, l, place{since: q.Since})
	if end := l.tail.end(); err == nil && len(entries) > 0 && entries[0].seq+maxScan < end {
		entries, err = s.read(ctx, l, place{seq: end - maxScan})
	}
	for err == nil && len(entries) > 0 {
		for _, e := range entries {
			if !q.Until.IsZero() && e.event.At.After(q.Until) && e.ok {
				entries = nil
				break
			}
			if e.ok && g.match(e.event.Name) {
				out = append(out, e.event)
			}
		}
		out = out[max(0, len(out)-q.Limit):]
		if len(entries) > 0 {
			entries, err = s.read(ctx, l, place{seq: entries[len(entries)-1].seq + 1})
		}
	}
	slices.Reverse(out)
	return out, err
}

// Changes yields when there are new events; many in quick succession may come
// as one. The channel is closed when the context ends, or the service does.
func (s *Service) Changes(ctx context.Context) <-chan struct{} {
	out := make(chan struct{}, 1)
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.now
	if l == nil {
		close(out)
		return out
	}
	l.wg.Go(func() {
		defer close(out)
		for _, news := l.tail.grows(); ; {
			select {
			case <-news:
				_, news = l.tail.grows()
			case <-ctx.Done():
				return
			case <-l.ctx.Done():
				return
			}
			select {
			case out <- struct{}{}:
			default: // there is one to read already
			}
		}
	})
	return out
}
