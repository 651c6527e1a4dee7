package apitest

import (
	"context"
	"time"

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

// Storage implements api.Network: as much of each kind as KindInfos says, and a
// partition that goes in a day.
func (n *Network) Storage(ctx context.Context) (store.Storage, error) {
	infos, err := n.KindInfos(ctx)
	out := store.Storage{Database: 1 << 20, MaxBytes: 1 << 30}
	for _, info := range infos {
		t := store.TableStorage{Kind: info.Kind.Name, Table: info.Kind.Table, Bytes: info.Bytes, Keep: info.Keep}
		if info.Rows > 0 {
			day := info.Oldest.Truncate(24 * time.Hour)
			t.Partitions, t.MaxBytes = 2, 1<<20
			t.Next = &store.Drop{Partition: info.Kind.Table + "_p20260101", From: day, To: day.Add(24 * time.Hour), At: day.Add(48 * time.Hour), Bytes: info.Bytes}
		}
		out.Bytes += t.Bytes
		out.Tables = append(out.Tables, t)
	}
	return out, err
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
