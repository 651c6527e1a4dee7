package web

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/ingest"
	"github.com/rind-project/rind/internal/network/store"
	"github.com/rind-project/rind/internal/web/ui"
)

// silentAfter is how long a tap may say nothing: it reports every 10 s.
const silentAfter = 60 * time.Second

// tapView is a tap with what it lost in the page's window.
type tapView struct {
	Name       network.TapID
	Tenant     string
	Look, Word string // state: class and word
	LastReport time.Time
	Health     network.Health
	Received, Summarised, DroppedKernel, DroppedPipeline,
	Dropped, Malformed, Bytes uint64
	Gone bool
}

// tapState is what the overview and the page of taps both show.
type tapState struct {
	Taps      []tapView
	Gaps      []gapView
	Reporting int
	Live      int       // taps that are not revoked
	Since     time.Time // when the first tap was added
	Received  uint64
	Dropped   uint64
}

// gapView is a gap with its length.
type gapView struct {
	store.Gap
	Length time.Duration
}

// maxGaps bounds the gaps of a page.
const maxGaps = 100

func (w *Web) tapState(ctx context.Context, win ui.Window) (tapState, error) {
	var st tapState
	taps, err := w.Taps.Taps(ctx)
	if err != nil {
		return st, fmt.Errorf("listing the taps: %w", err)
	}
	losses, err := w.Traffic.Losses(ctx, win.From, win.To)
	if err != nil {
		return st, fmt.Errorf("summing the ledgers: %w", err)
	}
	byTap := map[network.TapID]store.Loss{}
	for _, l := range losses {
		byTap[l.Tap] = l
	}
	for _, t := range taps {
		v := newTapView(t, byTap[t.Name], w.Now())
		if st.Since.IsZero() || t.Created.Before(st.Since) {
			st.Since = t.Created
		}
		st.Received += v.Received
		st.Dropped += v.Dropped
		if !v.Gone {
			st.Live++
		}
		if v.Look == "ok" {
			st.Reporting++
		}
		st.Taps = append(st.Taps, v)
	}
	gaps, err := w.Traffic.Gaps(ctx, "", maxGaps)
	if err != nil {
		return st, fmt.Errorf("listing the gaps: %w", err)
	}
	for _, g := range gaps {
		if g.To.After(win.From) && g.From.Before(win.To) {
			st.Gaps = append(st.Gaps, gapView{g, g.To.Sub(g.From)})
		}
	}
	return st, nil
}

func newTapView(t ingest.TapInfo, l store.Loss, now time.Time) tapView {
	v := tapView{
		Name: t.Name, Tenant: t.Tenant, Health: t.Health,
		Received: count(l.Received), Summarised: count(l.Summarised), DroppedKernel: count(l.DroppedKernel),
		DroppedPipeline: count(l.DroppedPipeline), Malformed: count(l.Malformed), Bytes: count(l.Bytes),
	}
	v.Dropped = v.DroppedKernel + v.DroppedPipeline
	if t.LastReport != nil {
		v.LastReport = *t.LastReport
	}
	switch {
	case t.Revoked != nil:
		v.Look, v.Word, v.Gone = "off", "revoked", true
	case t.Expires != nil && now.After(*t.Expires):
		v.Look, v.Word = "bad", "token expired"
	case t.LastReport == nil:
		v.Look, v.Word = "off", "never reported"
	case now.Sub(v.LastReport) > silentAfter:
		v.Look, v.Word = "bad", "silent"
	case t.Shared != nil:
		v.Look, v.Word = "bad", "shared token"
	default:
		v.Look, v.Word = "ok", "reporting"
	}
	return v
}

// worstTaps are as many as the overview shows, those that need a person first,
// and how many more there are.
func worstTaps(all []tapView) (shown []tapView, more int) {
	rank := func(t tapView) int {
		switch {
		case t.Gone:
			return 3
		case t.Look == "bad":
			return 0
		case t.Dropped > 0:
			return 1
		}
		return 2
	}
	shown = slices.SortedStableFunc(slices.Values(all), func(a, b tapView) int { return rank(a) - rank(b) })
	shown = shown[:min(len(shown), overviewRows)]
	return shown, len(all) - len(shown)
}

// count makes a sum from the database a count; a sum is never negative.
func count(n int64) uint64 { return uint64(max(n, 0)) }

// alerts says what is wrong with the taps, the worst first.
func (st tapState) alerts(now time.Time) []alert {
	var silent, expired, shared, lost, spooling, unheard []string
	for _, t := range st.Taps {
		switch t.Word {
		case "silent":
			silent = append(silent, string(t.Name))
		case "token expired":
			expired = append(expired, string(t.Name))
		case "shared token":
			shared = append(shared, string(t.Name))
		case "never reported":
			unheard = append(unheard, string(t.Name))
		}
		if t.Dropped > 0 {
			lost = append(lost, fmt.Sprintf("%s %s (%s packets)", t.Name, ui.Percent(t.Dropped, t.Received), ui.Count(t.Dropped)))
		}
		if t.Health.SpoolDropped > 0 && !t.Gone {
			spooling = append(spooling, string(t.Name))
		}
	}
	var out []alert
	add := func(level, word, text string, names []string) {
		if len(names) > 0 {
			out = append(out, alert{Level: level, Word: word, Text: text + list(names, namedMost), Link: "/taps", Action: "See the taps"})
		}
	}
	add("bad", "Silent", "no report for more than a minute from ", silent)
	add("bad", "Refused", "the token has expired of ", expired)
	add("bad", "Token", "two machines report with the token of ", shared)
	add("bad", "Loss", "packets were dropped by ", lost)
	add("bad", "Reports lost", "the spool was full and pushed reports out at ", spooling)
	add("warn", "Expected", "no report has come yet from ", unheard)
	if n := len(st.Gaps); n > 0 {
		g := st.Gaps[0]
		text := fmt.Sprintf("%s in this time range; %s saw nothing for %s, until %s", plural(n, "gap", "gaps"), ui.Visible(string(g.Tap)), ui.Took(g.Length), ui.Ago(g.To, now))
		out = append(out, alert{Level: "warn", Word: "Gap", Text: text, Link: "/taps#gaps-head", Action: "See the gaps"})
	}
	return out
}
