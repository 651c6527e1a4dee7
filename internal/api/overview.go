package api

import (
	"context"
	"net/http"
	"time"

	"github.com/rind-project/rind/internal/api/wire"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/enroll"
	"github.com/rind-project/rind/internal/fleet/master"
)

// reportingWithin is how old a tap's last report may be while it counts as
// reporting: six reports.
const reportingWithin = time.Minute

func (a *API) showOverview(ctx context.Context, _ *http.Request, _ wire.Empty) (wire.OverviewOut, error) {
	out := wire.OverviewOut{Time: a.deps.Now().UTC()}
	if a.deps.Problems != nil {
		out.Problems = a.deps.Problems(ctx)
	}
	var err error
	if a.deps.Fleet != nil {
		if out.Fleet, err = a.fleetOverview(ctx); err != nil {
			return wire.OverviewOut{}, err
		}
	}
	if a.deps.Network != nil && a.deps.Taps != nil {
		if out.Network, err = a.tapsOverview(ctx, out.Time); err != nil {
			return wire.OverviewOut{}, err
		}
	}
	return out, nil
}

func (a *API) fleetOverview(ctx context.Context) (*wire.FleetOverview, error) {
	var out wire.FleetOverview
	const page = 10_000
	for after := fleet.PeelID(""); ; {
		peels, err := a.deps.Fleet.Peels(ctx, master.PeelQuery{Limit: page, After: after})
		if err != nil {
			return nil, err
		}
		for _, p := range peels {
			out.Peels++
			switch p.Presence {
			case fleet.Connected:
				out.Connected++
			case fleet.Away:
				out.Away++
			case fleet.CutOff:
				out.CutOff++
			default:
				out.Never++
			}
		}
		// The master may cut a page shorter than asked for; an empty one is the end.
		if len(peels) == 0 || peels[len(peels)-1].ID <= after {
			break
		}
		after = peels[len(peels)-1].ID
	}
	jobs, err := a.deps.Fleet.Jobs(ctx, 50)
	if err != nil {
		return nil, err
	}
	for _, j := range jobs {
		if j.State == fleet.JobRunning {
			out.Running++
		}
	}
	if a.deps.Enroll != nil {
		pending, err := a.deps.Enroll.List(ctx, string(enroll.Pending))
		if err != nil {
			return nil, err
		}
		out.Pending = len(pending)
	}
	return &out, nil
}

func (a *API) tapsOverview(ctx context.Context, now time.Time) (*wire.TapsOverview, error) {
	var out wire.TapsOverview
	taps, err := a.deps.Taps.Taps(ctx)
	if err != nil {
		return nil, err
	}
	for _, t := range taps {
		if t.Revoked != nil {
			continue
		}
		out.Taps++
		if t.LastReport != nil && now.Sub(*t.LastReport) <= reportingWithin {
			out.Reporting++
		}
		out.Received += t.Loss.Received
		out.Dropped += t.Loss.DroppedKernel + t.Loss.DroppedPipeline
	}
	points, err := a.deps.Network.Traffic(ctx, now.Add(-time.Hour), now, time.Minute)
	if err != nil {
		return nil, err
	}
	for _, p := range points {
		out.Bytes += p.Bytes
		out.Flows += p.Flows
	}
	return &out, nil
}
