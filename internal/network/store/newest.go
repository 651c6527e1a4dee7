package store

import (
	"context"
	"math"
	"time"

	"github.com/rind-project/rind/internal/base/database"
)

// page is the range and the place of a list from new to old.
type page struct {
	from, to int64 // microseconds
	before   Cursor
	limit    int64
}

// pageOf completes a range as span does.
func (s *Store) pageOf(from, to time.Time, before Cursor, limit int) page {
	from, to = s.span(from, to)
	return page{from.UnixMicro(), to.UnixMicro(), before, bounded(limit)}
}

// firstWindow is the first range that a list looks at on PostgreSQL, from the
// newest row on; each further one is windowGrowth times as long. Of a host it is
// longer, since its rows are found in order, and only the plan grows with the
// number of partitions.
const (
	firstWindow  = 2 * time.Minute
	firstOfHost  = 2 * time.Hour
	windowGrowth = 8
)

// windows cuts a range into those that are looked at one after another, until
// there are enough rows. PostgreSQL has an index of time that finds ranges and
// no order, so the newest rows of a long range would be found by sorting all
// of it. SQLite has one in order.
func (p page) windows(e database.Engine, first time.Duration) []page {
	if !p.before.Time.IsZero() {
		p.to = min(p.to, p.before.Time.UnixMicro()+1)
	}
	if e == database.SQLite {
		return []page{p}
	}
	var all []page
	for width := first.Microseconds(); ; width *= windowGrowth {
		w := p
		w.from = max(p.from, p.to-width)
		if width > (10*365*day).Microseconds() || p.to < math.MinInt64+width {
			w.from = p.from
		}
		all = append(all, w)
		if w.from <= p.from {
			return all
		}
		p.to = w.from
	}
}

// newest runs a list: the rows of a table that fulfil the conditions, sorted by
// time and id from new to old.
func newest[T any](ctx context.Context, s *Store, p part, columns string, w *where, q page, scan func(scanner) (T, error)) ([]T, error) {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	first := firstWindow
	if w.host != nil {
		first = firstOfHost
	}
	out := []T{}
	for _, window := range q.windows(s.db.Engine(), first) {
		from, err := s.source(ctx, s.db, p, window.from, window.to)
		if err != nil {
			return nil, err
		}
		window.limit = q.limit - int64(len(out))
		var b where
		w.render(&b, p, from, columns, window)
		rows, err := list(ctx, s.db, b.sql.String(), b.args, scan)
		if err != nil {
			return nil, err
		}
		if out = append(out, rows...); int64(len(out)) >= q.limit {
			break
		}
	}
	return out, nil
}

// render writes the statement of one window.
func (w *where) render(b *where, p part, from, columns string, q page) {
	order := " ORDER BY " + p.column + " DESC, id DESC LIMIT ?"
	one := func(more string, args ...any) {
		b.add("SELECT "+columns+" FROM "+from+" WHERE "+p.column+" >= ? AND "+p.column+" < ?", q.from, q.to)
		if !q.before.Time.IsZero() {
			b.add(" AND ("+p.column+", id) < (?, ?)", q.before.Time.UnixMicro(), q.before.ID)
		}
		for _, c := range w.conds {
			b.add(" AND "+c.text, c.args...)
		}
		b.add(more, args...)
		b.add(order, q.limit)
	}
	if w.host == nil {
		one("")
		return
	}
	b.add("SELECT * FROM (SELECT * FROM (")
	one(" AND "+w.ends[0]+" = ?", w.host)
	b.add(") AS one UNION ALL SELECT * FROM (")
	one(" AND "+w.ends[1]+" = ? AND ("+w.ends[0]+" IS NULL OR "+w.ends[0]+" <> ?)", w.host, w.host)
	b.add(") AS other) AS ends"+order, q.limit)
}
