package report

import (
	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/record"
)

// Split cuts a report into parts of at most rows flows, DNS queries and TLS
// hellos each, and records of all kinds together, in order.
// Health, ledgers and gap stand in the first part only, so that sums over the
// parts equal those of the whole. The caller numbers the parts.
func Split(r *network.Report, rows int) []*network.Report {
	parts := []*network.Report{}
	rest := *r
	for first := true; first || len(rest.Flows)+len(rest.DNS)+len(rest.TLS)+record.Count(&rest.Records) > 0; first = false {
		part := rest
		if !first {
			part.Interfaces, part.Gap = nil, nil
		}
		part.Flows, rest.Flows = cut(rest.Flows, rows)
		part.DNS, rest.DNS = cut(rest.DNS, rows)
		part.TLS, rest.TLS = cut(rest.TLS, rows)
		part.Records, rest.Records = record.Cut(rest.Records, rows)
		parts = append(parts, &part)
	}
	return parts
}

func cut[T any](all []T, n int) (head, tail []T) {
	n = min(n, len(all))
	return all[:n:n], all[n:]
}
