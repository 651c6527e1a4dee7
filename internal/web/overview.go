package web

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/enroll"
	"github.com/rind-project/rind/internal/network/store"
	"github.com/rind-project/rind/internal/web/ui"
)

// overviewRows is how many rows each table of the overview has.
const overviewRows = 10

// overviewView is the data of the overview.
type overviewView struct {
	Window         windowView
	Alerts         []alert
	Figures        []figure
	Fleet, Network bool
	TrafficSum     string
	From, To       int64 // unix seconds of a fixed window, else 0
	Since          int64 // unix seconds; nothing is known of the time before
	SpanSeconds    int
	BucketSeconds  int
	Columns        []column
	Talkers        []talkerView
	Names, Servers []store.Name
	Taps           []tapView
	TapsMore       int // that are not shown
	Jobs           []fleet.Job
	Query          string // parameters of the window, for links
}

type talkerView struct {
	store.Talker
	Share int // of the busiest, in percent
}

func (w *Web) overview(rw http.ResponseWriter, r *http.Request) error {
	win, picker, err := w.window(r)
	v := overviewView{Window: picker, Fleet: w.Fleet != nil, Network: w.Traffic != nil && w.Taps != nil, Query: win.Query().Encode()}
	s := w.sheet(r, "Overview", "/")
	if err != nil {
		s.Notice = said(err)
	}
	if v.Fleet {
		if err := w.fleetOverview(r.Context(), &v); err != nil {
			return err
		}
	}
	if v.Network {
		if err := w.networkOverview(r.Context(), &v, win); err != nil {
			return err
		}
	}
	slices.SortStableFunc(v.Alerts, func(a, b alert) int { return cmp.Compare(a.rank(), b.rank()) })
	if len(v.Alerts) == 0 {
		v.Alerts = []alert{{Level: "well", Word: "All well", Text: "nothing is down, nothing was lost and nothing waits for a decision"}}
	}
	var topics, parts []string
	parts = append(parts, "alerts", "figures")
	if v.Fleet {
		topics, parts = append(topics, topicPeels), append(parts, "jobs")
	}
	if v.Network {
		topics, parts = append(topics, topicNetwork), append(parts, "traffic-sum", "talkers", "names", "servers", "taps")
	}
	if len(topics) > 0 {
		follow(&s, topics, parts...)
	}
	s.Data = v
	return w.pages.Render(rw, r, http.StatusOK, "overview", s)
}

func (w *Web) fleetOverview(ctx context.Context, v *overviewView) error {
	c, err := w.Fleet.Counts(ctx)
	if err != nil {
		return fmt.Errorf("counting the hosts: %w", err)
	}
	v.Figures = append(v.Figures, figure{Name: "hosts connected", Value: ui.Count(c.Connected), Of: "of " + ui.Count(c.Total), Bad: c.Away > 0})
	if c.Total == 0 {
		v.Alerts = append(v.Alerts, alert{Level: "warn", Word: "No host", Text: "no host is managed yet", Link: "/enrollment", Action: "Add one"})
	}
	if c.CutOff > 0 {
		text := plural(c.CutOff, "host is", "hosts are") + " kept off the bus for a flood or a copied key"
		v.Alerts = append(v.Alerts, alert{Level: "bad", Word: "Cut off", Text: text, Link: "/hosts?presence=cut+off", Action: "See them"})
	}
	if c.Away > 0 {
		v.Alerts = append(v.Alerts, awayAlert(c))
	}
	if w.Enroll != nil {
		pending, err := w.Enroll.List(ctx, string(enroll.Pending))
		if err != nil {
			return fmt.Errorf("listing the enrollments: %w", err)
		}
		if n := len(pending); n > 0 {
			v.Alerts = append(v.Alerts, alert{Level: "warn", Word: "Waiting", Text: plural(n, "host waits", "hosts wait") + " for a decision on joining", Link: "/enrollment", Action: "Decide"})
		}
	}
	if v.Jobs, err = w.Fleet.Jobs(ctx, overviewRows); err != nil {
		return fmt.Errorf("listing the jobs: %w", err)
	}
	return nil
}

func (w *Web) networkOverview(ctx context.Context, v *overviewView, win ui.Window) error {
	st, err := w.tapState(ctx, win)
	if err != nil {
		return err
	}
	v.Taps, v.TapsMore = worstTaps(st.Taps)
	v.Alerts = append(st.alerts(w.Now()), v.Alerts...)
	bucket := win.Bucket()
	points, err := w.Traffic.Traffic(ctx, win.From, win.To, bucket)
	if err != nil {
		return fmt.Errorf("summing the traffic: %w", err)
	}
	talkers, err := w.Traffic.TopTalkers(ctx, win.From, win.To, overviewRows)
	if err != nil {
		return fmt.Errorf("summing the talkers: %w", err)
	}
	v.Talkers = shares(talkers)
	if v.Names, err = w.Traffic.LatestNames(ctx, overviewRows); err != nil {
		return fmt.Errorf("listing the names: %w", err)
	}
	if v.Servers, err = w.Traffic.LatestServers(ctx, overviewRows); err != nil {
		return fmt.Errorf("listing the servers: %w", err)
	}
	var bytes, packets int64
	for _, p := range points {
		bytes += p.Bytes
		packets += p.Packets
	}
	begin := observed(win, st.Since, points)
	if !begin.Before(win.To) {
		begin = win.From
	}
	over := win.To.Sub(begin)
	shown := win
	if win.Live() && over < win.Span() {
		// What was before the first tap is not known: the chart begins with it.
		shown.From = win.To.Add(-min(win.Span(), max(over, shortest)))
		bucket = min(bucket, shown.Bucket())
	}
	v.Columns = columns(points, shown, bucket)
	v.SpanSeconds, v.BucketSeconds, v.Since = int(shown.Span()/time.Second), int(bucket/time.Second), begin.Unix()
	if !win.Live() {
		v.From, v.To = win.From.Unix(), win.To.Unix()
	}
	v.TrafficSum = fmt.Sprintf("%s in %s packets, %s on average", ui.Bytes(bytes), ui.Count(packets), ui.BitRate(bytes, over))
	if over < win.Span() {
		v.TrafficSum += " over " + ui.Span(over)
	}
	v.Figures = append(v.Figures,
		figure{Name: "taps reporting", Value: ui.Count(st.Reporting), Of: "of " + ui.Count(st.Live), Bad: st.Reporting < st.Live},
		figure{Name: "packets lost", Value: ui.Percent(st.Dropped, st.Received), Of: "of " + ui.Count(st.Received), Bad: st.Dropped > 0},
		figure{Name: "traffic", Value: ui.Bytes(bytes), Of: ui.BitRate(bytes, over)},
	)
	return nil
}

// shortest is the least that a chart shows.
const shortest = 15 * time.Minute

// observed is when the window's telemetry begins: with the window, or with the
// first tap, or with what a tap read from older captures.
func observed(win ui.Window, since time.Time, points []store.TrafficPoint) time.Time {
	begin := since
	for _, p := range points {
		if p.Packets > 0 && (begin.IsZero() || p.Time.Before(begin)) {
			begin = p.Time
		}
	}
	if begin.Before(win.From) {
		return win.From
	}
	return begin
}

func shares(talkers []store.Talker) []talkerView {
	out := make([]talkerView, len(talkers))
	var most int64 = 1
	for _, t := range talkers {
		most = max(most, t.BytesIn+t.BytesOut)
	}
	for i, t := range talkers {
		out[i] = talkerView{t, int(100 * float64(t.BytesIn+t.BytesOut) / float64(most))}
	}
	return out
}

// column is a bar of the chart that needs no script, in a box of 600 by 120.
type column struct{ X, Y, W, H float64 }

func columns(points []store.TrafficPoint, win ui.Window, bucket time.Duration) []column {
	var most int64
	for _, p := range points {
		most = max(most, p.Bytes)
	}
	if most == 0 {
		return nil
	}
	width := 600 * float64(bucket) / float64(win.Span())
	out := make([]column, 0, len(points))
	for _, p := range points {
		x := 600 * float64(p.Time.Sub(win.From)) / float64(win.Span())
		h := 118 * float64(p.Bytes) / float64(most)
		if p.Bytes == 0 || x+width < 0 || x > 600 {
			continue
		}
		out = append(out, column{X: round(max(x, 0)), Y: round(120 - h), W: round(width * .85), H: round(h)})
	}
	return out
}

func round(v float64) float64 { return float64(int(v*10+.5)) / 10 }
