package tap

import (
	"time"

	"github.com/rind-project/rind/internal/network"
)

// mergeRecords makes one of rows that say the same, of kinds in which equal
// ones stand once in a report: several workers, or interfaces, saw it.
func mergeRecords(r *network.Records) {
	r.Neighbors = mergeEqual(r.Neighbors,
		func(n network.Neighbor) network.Neighbor { n.Time, n.Count = time.Time{}, 0; return n },
		func(into *network.Neighbor, n network.Neighbor) {
			into.Time = earlier(into.Time, n.Time)
			into.Count += n.Count
		})
	r.Links = mergeEqual(r.Links,
		func(l network.Link) network.Link { l.Time = time.Time{}; return l },
		func(into *network.Link, l network.Link) { into.Time = earlier(into.Time, l.Time) })
	mergeWiFi(r)
}

// mergeEqual merges rows with equal keys into the first of them, in place.
func mergeEqual[T any, K comparable](rows []T, key func(T) K, merge func(into *T, row T)) []T {
	if len(rows) < 2 {
		return rows
	}
	at := make(map[K]int, len(rows))
	kept := rows[:0]
	for _, row := range rows {
		k := key(row)
		if i, known := at[k]; known {
			merge(&kept[i], row)
			continue
		}
		at[k] = len(kept)
		kept = append(kept, row)
	}
	clear(rows[len(kept):])
	return kept
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
