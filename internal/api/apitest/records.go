package apitest

import (
	"context"

	"github.com/rind-project/rind/internal/network/store"
)

// KindInfos implements api.Network: as many rows of each kind as there are in
// RecordRows.
func (n *Network) KindInfos(context.Context) ([]store.KindInfo, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	keep := store.DefaultRetention()
	var out []store.KindInfo
	for _, k := range store.Kinds() {
		info := store.KindInfo{Kind: k, Keep: keep.Of(k)}
		for _, r := range n.RecordRows[k.Name] {
			info.Rows++
			info.LastHour++
			info.Bytes += 200
			info.Oldest = r.Cursor().Time
		}
		if info.Rows > 0 {
			info.Newest = n.RecordRows[k.Name][0].Cursor().Time
		}
		out = append(out, info)
	}
	return out, nil
}

// Records implements api.Network. What it refuses is what the real one does.
func (n *Network) Records(_ context.Context, q store.RecordQuery) ([]store.Record, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := q.Validate(); err != nil {
		return nil, err
	}
	n.RecordQuery = q
	return after(n.RecordRows[q.Kind], q.Before, q.Limit), nil
}
