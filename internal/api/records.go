package api

import (
	"context"
	"net/http"

	"github.com/rind-project/rind/internal/api/wire"
	"github.com/rind-project/rind/internal/network/store"
)

func (a *API) listKinds(ctx context.Context, _ *http.Request, _ wire.Empty) (wire.KindsOut, error) {
	n, err := a.network()
	if err != nil {
		return wire.KindsOut{}, err
	}
	infos, err := n.KindInfos(ctx)
	if err != nil {
		return wire.KindsOut{}, err
	}
	out := wire.KindsOut{Kinds: []wire.KindOut{}}
	for _, info := range infos {
		out.Kinds = append(out.Kinds, wire.NewKind(prefix, info))
	}
	return out, nil
}

func (a *API) listRecords(ctx context.Context, _ *http.Request, in wire.RecordsIn) (wire.RecordsOut, error) {
	n, from, to, tap, err := a.telemetry(in.Range)
	if err != nil {
		return wire.RecordsOut{}, err
	}
	rows, err := n.Records(ctx, store.RecordQuery{
		Kind: in.Kind, From: from, To: to, Tap: tap, Filters: in.Filters, Limit: in.Limit, Before: store.Cursor(in.Before),
	})
	page, next := paged(rows, in.Limit)
	return wire.RecordsOut{Kind: in.Kind, Records: page, Next: next}, err
}
