package ingest

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"time"

	"github.com/rind-project/rind/internal/base/database"
)

// A tap that starts again reports under a new boot from then on; what was
// still spooled under the old one comes before it. A boot that comes back
// after another was heard is of a second machine that uses the token: a copied
// disk, or a configuration that went to two hosts. A report that is late for
// once makes two such changes, which is not enough to say so.
const (
	sharedWithin   = 10 * time.Minute // a boot is remembered for so long
	sharedSwitches = 3                // changes back, each within that time of the one before
	sharedShown    = time.Hour        // after the last one
)

// sender is which boot of a tap reports.
type sender struct {
	boot     string // that was heard last
	before   string // that was heard before it, when the transaction began
	last     time.Time
	switches int64     // back to a boot that had been heard before
	switched time.Time // the last of them
}

// findShared follows the boots of the group's taps through its reports.
func (w *writing) findShared(ctx context.Context) error {
	heard := map[string]bool{} // boots of this group
	for _, it := range w.fresh {
		t := w.taps[it.Tap]
		if !live(it.Boot) || it.Boot == t.boot {
			continue
		}
		again := heard[it.Boot]
		if !again && t.boot != "" {
			var err error
			if again, err = w.heardBefore(ctx, it); err != nil {
				return err
			}
		}
		heard[it.Boot], heard[t.boot] = true, true
		t.before, t.boot = t.boot, it.Boot
		if !again {
			continue
		}
		if w.now.Sub(t.switched) > sharedWithin {
			t.switches = 0
		}
		t.switches++
		t.switched = w.now
		if t.switches >= sharedSwitches && !slices.Contains(w.shared, t) {
			w.shared = append(w.shared, t)
		}
	}
	return nil
}

// heardBefore reports whether an earlier transaction wrote a report of the
// same boot a short while ago.
func (w *writing) heardBefore(ctx context.Context, it *item) (bool, error) {
	var one int
	now := database.Micros(w.now)
	err := w.tx.QueryRow(ctx, `SELECT 1 FROM reports WHERE tap = $1 AND boot = $2 AND received_us <> $3 AND received_us > $4 LIMIT 1`,
		string(it.Tap), it.Boot, now, now-sharedWithin.Microseconds()).Scan(&one)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

// live reports whether a boot is of a tap that ran: capture files that are
// read beside it have boots made of their contents (UUIDv8).
func live(boot string) bool { return len(boot) == 36 && boot[14] == '7' }
