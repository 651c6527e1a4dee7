package ingest

import (
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/record"
	"github.com/rind-project/rind/internal/network/report"
)

// maxCount bounds a counter of one row: what a link of 400 Gbit/s carries in a
// minute is below it, and the sum of a million such rows still fits.
const maxCount = 1 << 42

// checkClock refuses what a tap sends while its clock and ours differ: its times
// would be wrong by that much, and nobody could tell afterwards. The tap keeps
// the report and tries again. One that does not say its time is not checked.
func (s *Service) checkClock(header string) *refusal {
	if header == "" {
		return nil
	}
	at, err := time.Parse(time.RFC3339, header)
	if err != nil {
		return &refusal{http.StatusBadRequest, malformed, errs.New(errs.Invalid, "the header %s is no time as RFC 3339 writes it", report.TimeHeader)}
	}
	off, word := at.Sub(s.now()), "ahead of"
	if off < 0 {
		word = "behind"
	}
	s.metrics.skew.Observe(off.Abs().Seconds())
	if off.Abs() <= s.cfg.MaxClockOff {
		return nil
	}
	return &refusal{http.StatusConflict, clockOff, errs.New(errs.Conflict,
		"this tap's clock is %s %s the node's, at most %s are allowed: set the one that is wrong (timedatectl set-ntp true); until then the node takes none of this tap's reports",
		off.Abs().Round(time.Second), word, s.cfg.MaxClockOff)}
}

// check refuses a report that is well-formed but cannot be true. Such a report
// will never be accepted, so the tap is told to keep it aside.
func (s *Service) check(r *network.Report, tenant string) (result string, err error) {
	now, keep := s.now(), s.cfg.keep(tenant)
	switch {
	case !r.Tap.Valid():
		return implausible, errs.New(errs.Invalid, "the report names no tap")
	case uuid.Validate(r.Boot) != nil || len(r.Boot) != 36:
		return implausible, errs.New(errs.Invalid, "the report's boot is no UUID")
	case r.Sequence == 0 || r.Sequence > maxCount:
		return implausible, errs.New(errs.Invalid, "the report's sequence %d is out of range", r.Sequence)
	case r.End.Before(r.Start):
		return implausible, errs.New(errs.Invalid, "the report ends before it starts")
	case r.End.After(now.Add(s.cfg.MaxAhead)):
		return implausible, errs.New(errs.Invalid, "the report ends %s, which is more than %s ahead: set the tap's clock", r.End.Format(time.RFC3339), s.cfg.MaxAhead)
	case r.End.Before(now.Add(-keep)) && keep < s.cfg.MaxAge:
		return tooOld, errs.New(errs.Invalid, "the report ends %s and rows of the tenant %s are kept for %s only: raise its retention in node.retention.tenants to take older captures, or read the file with --now",
			r.End.Format(time.RFC3339), tenant, keep)
	case r.End.Before(now.Add(-keep)):
		return tooOld, errs.New(errs.Invalid, "the report ends %s and rows are kept for %s only: raise node.retention.flows to take older captures, or read the file with --now", r.End.Format(time.RFC3339), keep)
	case r.Gap != nil && (!s.plausible(r.Gap.From) && !r.Gap.From.IsZero() || !s.plausible(r.Gap.To) || r.Gap.Sequence > maxCount || len(r.Gap.Boot) > 64):
		return implausible, errs.New(errs.Invalid, "the report's gap is out of range")
	}
	for i := range r.Interfaces {
		l := &r.Interfaces[i]
		if max(l.Received, l.Summarised, l.DroppedKernel, l.DroppedPipeline, l.Malformed, l.HeldFragments, l.ReleasedFragments, l.Bytes) > maxCount {
			return implausible, errs.New(errs.Invalid, "a counter in the ledger of %q is out of range", l.Interface)
		}
	}
	if err := s.checkRows(r); err != nil {
		return implausible, err
	}
	return "", nil
}

func (s *Service) checkRows(r *network.Report) error {
	for i := range r.Flows {
		f := &r.Flows[i]
		if max(f.SrcPkts, f.DstPkts, f.SrcBytes, f.DstBytes) > maxCount {
			return errs.New(errs.Invalid, "a counter of flow %d is out of range", i)
		}
		if !s.plausible(f.Start) || !s.plausible(f.End) {
			return errs.New(errs.Invalid, "the time of flow %d, %s, is out of range", i, f.Start.Format(time.RFC3339))
		}
	}
	for i := range r.DNS {
		if !s.plausible(r.DNS[i].Time) {
			return errs.New(errs.Invalid, "the time of DNS query %d, %s, is out of range", i, r.DNS[i].Time.Format(time.RFC3339))
		}
	}
	for i := range r.TLS {
		if !s.plausible(r.TLS[i].Time) {
			return errs.New(errs.Invalid, "the time of TLS hello %d, %s, is out of range", i, r.TLS[i].Time.Format(time.RFC3339))
		}
	}
	return s.checkRecords(r)
}

// checkRecords looks at the times, which are the tap's. Numbers that packets
// claim are not a reason to refuse what a tap saw: the store bounds them.
func (s *Service) checkRecords(r *network.Report) error {
	for _, k := range record.Kinds() {
		rows := k.Rows(&r.Records)
		for c := range k.Columns {
			column := &k.Columns[c]
			if column.Type != record.Time {
				continue
			}
			for i := range rows.Len() {
				if at := *record.At[time.Time](rows.Row(i), column); !s.plausible(at) {
					return errs.New(errs.Invalid, "the %s of row %d of %s, %s, is out of range", column.Name, i, k.Name, at.Format(time.RFC3339))
				}
			}
		}
	}
	return nil
}

// plausible reports whether packets can have been seen at that time.
func (s *Service) plausible(t time.Time) bool {
	return t.Unix() >= epoch && !t.After(s.now().Add(s.cfg.MaxAhead+time.Hour))
}

// epoch is the year 2000 in Unix seconds.
const epoch = 946_684_800
