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
func NewStorage(s store.Storage) StorageOut {
	out := StorageOut{SizeBytes: s.Bytes, MaxBytes: s.MaxBytes, DatabaseBytes: s.Database, Tables: []TableStorageOut{}}
	for _, t := range s.Tables {
		table := TableStorageOut{Kind: t.Kind, Table: t.Table, SizeBytes: t.Bytes, MaxBytes: t.MaxBytes, Partitions: t.Partitions, Retention: Span(t.Keep)}
		if d := t.Next; d != nil {
			table.Next = &DropOut{Partition: d.Partition, To: d.To, At: d.At, SizeBytes: d.Bytes, Reason: "age"}
			if !d.From.IsZero() {
				table.Next.From = &d.From
			}
			if d.Size {
				table.Next.Reason = "size"
			}
		}
		out.Tables = append(out.Tables, table)
	}
	return out
}
