package store

import (
	"context"
	"fmt"
)

// sum says what the sums of a range are read from.
type sum uint8

const (
	byRow    sum = iota // the rows themselves: no sum has been made
	byMinute            // the sums of its minutes
	byHour              // the sums of its hours
)

// piece is a range whose sums are read from one kind of table.
type piece struct {
	span
	sum sum
}

// coverage says what sums there are of a range: pieces without holes, in order.
type coverage struct{ pieces []piece }

// maxPieces bounds the parts of one query. A range that is summed in more
// pieces, as when the node that sums was away again and again, is read from
// its rows where the pieces end.
const maxPieces = 60

// summed finds the sums of a range. Minutes lie wholly in it, and hours too.
func (s *Store) summed(ctx context.Context, all span) (coverage, error) {
	type done struct{ width, at int64 }
	list, err := list(ctx, s.db, `SELECT width_us, begin_us FROM rolled WHERE width_us = $1 AND begin_us >= $2 AND begin_us < $3
		OR width_us = $4 AND begin_us >= $5 AND begin_us < $6 ORDER BY begin_us, width_us DESC`,
		[]any{hourUS, all.from - hourUS, all.to, minuteUS, all.from, all.to}, func(row scanner) (d done, err error) {
			err = row.Scan(&d.width, &d.at)
			return d, err
		})
	if err != nil {
		return coverage{}, fmt.Errorf("looking for sums: %w", err)
	}
	var c coverage
	at := all.from
	for _, d := range list {
		from, to := max(d.at, at), d.at+d.width
		kind := byMinute
		if d.width == hourUS && d.at >= at && to <= all.to {
			kind = byHour
		}
		// Minutes of an hour that lies only partly in the range.
		from, to = floor(from+minuteUS-1, minuteUS), floor(min(to, all.to), minuteUS)
		if from >= to || len(c.pieces) >= maxPieces {
			continue
		}
		c.add(span{at, from}, byRow)
		c.add(span{from, to}, kind)
		at = to
	}
	c.add(span{at, all.to}, byRow)
	if len(c.pieces) == 0 {
		c.pieces = []piece{{all, byRow}}
	}
	return c, nil
}

// add adds a range, to the last piece if it goes on.
func (c *coverage) add(r span, kind sum) {
	if r.from >= r.to {
		return
	}
	if n := len(c.pieces) - 1; n >= 0 && c.pieces[n].sum == kind && c.pieces[n].to == r.from {
		c.pieces[n].to = r.to
		return
	}
	c.pieces = append(c.pieces, piece{r, kind})
}

// joined reads rows where there are sums of minutes that are not kept, or not
// asked for.
func (c coverage) joined(minutes bool, recent int64) []piece {
	var out coverage
	for _, p := range c.pieces {
		if p.sum == byMinute && (!minutes || p.from < recent) {
			p.sum = byRow
		}
		out.add(p.span, p.sum)
	}
	return out.pieces
}

// hours reads rows where there are only sums of minutes.
func (c coverage) hours() []piece { return c.joined(false, 0) }
