package capture

import (
	"time"

	"github.com/rind-project/rind/internal/network/capture/filter"
	"github.com/rind-project/rind/internal/network/packet"
)

// paceStep is how long a replay sleeps at once, so that its reader can do
// something else in between.
const paceStep = 50 * time.Millisecond

// pace holds a replay back to the times of its packets.
type pace struct {
	speed float64 // 0 does not hold back
	began time.Time
	first int64 // time of the first packet
}

// ahead returns how long the packet of a time is still to come. A packet that
// is older than the first is never held back.
func (p *pace) ahead(ts int64) time.Duration {
	if p.speed <= 0 {
		return 0
	}
	if p.began.IsZero() {
		p.began, p.first = time.Now(), ts
	}
	due := float64(ts-p.first) / p.speed
	return time.Duration(min(due, maxUnixNano)) - time.Since(p.began)
}

// fileFilter is a filter with a program for each link type that a file has.
type fileFilter struct {
	text     string
	programs map[packet.LinkType]*filter.Program
	left     uint64 // records left out
}

// check refuses what is wrong on any link type.
func (f *fileFilter) check() error {
	_, err := filter.Compile(f.text, filter.Options{Link: packet.LinkEthernet})
	return err
}

// selects reports whether the filter selects a record. A link type that it
// cannot be used on is an error, since it could only be guessed what is meant.
func (f *fileFilter) selects(rec *record) (bool, error) {
	if f.text == "" {
		return true, nil
	}
	p := f.programs[rec.link]
	if p == nil {
		var err error
		if p, err = filter.Compile(f.text, filter.Options{Link: rec.link}); err != nil {
			return false, err
		}
		if f.programs == nil {
			f.programs = map[packet.LinkType]*filter.Program{}
		}
		f.programs[rec.link] = p
	}
	if p.Match(rec.data, rec.wire) {
		return true, nil
	}
	f.left++
	return false, nil
}
