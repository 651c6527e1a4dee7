package wire

import (
	"time"

	"github.com/rind-project/rind/internal/network/store"
)

// StorageOut is what the telemetry takes, and what goes next.
type StorageOut struct {
	SizeBytes     int64             `json:"size_bytes" doc:"of all tables of the telemetry, indexes included"`
	MaxBytes      int64             `json:"max_bytes,omitempty" doc:"what they may take; absent is any size"`
	DatabaseBytes int64             `json:"database_bytes" doc:"of the whole database"`
	Tables        []TableStorageOut `json:"tables"`
	Tenants       []TenantUseOut    `json:"tenants" doc:"what the rows of each tenant's taps take of it"`
}

// TenantUseOut is what the rows of a tenant's taps take, and what goes next.
type TenantUseOut struct {
	Tenant    string          `json:"tenant"`
	Taps      int             `json:"taps"`
	SizeBytes int64           `json:"size_bytes" doc:"its share, by what its rows take, roughly"`
	MaxBytes  int64           `json:"max_bytes,omitempty" doc:"what they may take; absent is any size"`
	Kinds     []TenantKindOut `json:"kinds" doc:"those of which there is something"`
}

// TenantKindOut is that of one kind.
type TenantKindOut struct {
	Kind      string   `json:"kind"`
	SizeBytes int64    `json:"size_bytes"`
	MaxBytes  int64    `json:"max_bytes,omitempty"`
	Retention Span     `json:"retention" doc:"how long rows are kept"`
	Next      *DropOut `json:"next,omitempty" doc:"the partition of which it loses its rows next"`
}

// TableStorageOut is what one kind, or one table of sums, takes.
type TableStorageOut struct {
	Kind       string   `json:"kind,omitempty" doc:"of its rows; absent for sums and names"`
	Table      string   `json:"table"`
	SizeBytes  int64    `json:"size_bytes"`
	MaxBytes   int64    `json:"max_bytes,omitempty"`
	Partitions int      `json:"partitions"`
	Retention  Span     `json:"retention" doc:"how long rows are kept"`
	Next       *DropOut `json:"next,omitempty" doc:"the partition that goes next"`
}

// DropOut is a partition that is about to be dropped.
type DropOut struct {
	Partition string     `json:"partition"`
	From      *time.Time `json:"from,omitempty" doc:"begin of its rows; absent when it holds everything older"`
	To        time.Time  `json:"to" doc:"end of its rows"`
	At        time.Time  `json:"at" doc:"when it goes"`
	SizeBytes int64      `json:"size_bytes"`
	Reason    string     `json:"reason" doc:"age, or size when there is more than may be"`
}

// NewStorage describes what the telemetry takes.
func NewStorage(s store.Storage, tenants []store.TenantUse) StorageOut {
	out := StorageOut{SizeBytes: s.Bytes, MaxBytes: s.MaxBytes, DatabaseBytes: s.Database, Tables: []TableStorageOut{}, Tenants: []TenantUseOut{}}
	for _, u := range tenants {
		out.Tenants = append(out.Tenants, newTenantUse(u))
	}
	for _, t := range s.Tables {
		table := TableStorageOut{Kind: t.Kind, Table: t.Table, SizeBytes: t.Bytes, MaxBytes: t.MaxBytes, Partitions: t.Partitions, Retention: Span(t.Keep)}
		table.Next = newDrop(t.Next)
		out.Tables = append(out.Tables, table)
	}
	return out
}

func newDrop(d *store.Drop) *DropOut {
	if d == nil {
		return nil
	}
	out := &DropOut{Partition: d.Partition, To: d.To, At: d.At, SizeBytes: d.Bytes, Reason: "age"}
	if !d.From.IsZero() {
		out.From = &d.From
	}
	if d.Size {
		out.Reason = "size"
	}
	return out
}

func newTenantUse(u store.TenantUse) TenantUseOut {
	out := TenantUseOut{Tenant: u.Tenant, Taps: u.Taps, SizeBytes: u.Bytes, MaxBytes: u.MaxBytes, Kinds: []TenantKindOut{}}
	for _, k := range u.Kinds {
		if k.Bytes > 0 || k.MaxBytes > 0 {
			out.Kinds = append(out.Kinds, TenantKindOut{Kind: k.Kind, SizeBytes: k.Bytes, MaxBytes: k.MaxBytes, Retention: Span(k.Keep), Next: newDrop(k.Next)})
		}
	}
	return out
}
