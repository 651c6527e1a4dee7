package api

import (
	"context"
	"net/http"

	"github.com/rind-project/rind/internal/api/wire"
)

func (a *API) showStorage(ctx context.Context, _ *http.Request, _ wire.Empty) (wire.StorageOut, error) {
	n, err := a.network()
	if err != nil {
		return wire.StorageOut{}, err
	}
	t, err := a.taps()
	if err != nil {
		return wire.StorageOut{}, err
	}
	all, err := n.Storage(ctx)
	if err != nil {
		return wire.StorageOut{}, err
	}
	tenants, err := t.TenantUses(ctx)
	return wire.NewStorage(all, tenants), err
}
