package bus

import (
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// The buckets (JetStream KV) and the stream of the fleet plane.
const (
	Facts            = "facts"
	SettingsFiles    = "settings-files"
	Secrets          = "secrets"
	Basket           = "basket"
	Jobs             = "jobs"
	JobReturns       = "job-returns"
	MasterHeartbeat  = "master-heartbeat"
	Enrollments      = "enrollments"
	EnrollChallenges = "enroll-challenges"
	StateFiles       = "state-files"
	UpdateManifests  = "update-manifests"
	UpdateStatus     = "update-status"
	UpdateRollouts   = "update-rollouts"

	EventsStream = "job-events"
	FilesStream  = "files"
)

// ByPeople stands for a peel's id in the subject of an event that a person or
// a program sent. No peel can be called so.
const ByPeople = "@"

// DuplicateWindow is how long a stream remembers message ids, at most.
const DuplicateWindow = 2 * time.Minute

// BucketSpec is how a bucket has to be made.
type BucketSpec struct {
	Name         string
	History      int           // values kept per key
	TTL          time.Duration // 0: values stay
	Memory       bool          // in memory, not in files
	MaxBytes     int64         // of the whole bucket, scaled down on a small disk
	MaxValueSize int32

	// Remade says that the bucket holds nothing of value, and is made again
	// when somebody deletes it. When another one vanishes, that is a loss.
	Remade bool
	// Untrusted says that the values come from peels. Roll-ups are refused
	// there, as a second wall: one roll-up header would purge every other
	// peel's keys (kv.Purge therefore fails; use bus.Purge).
	Untrusted bool
	// Exact says that a read has to see what was written last, on whichever
	// server: it is answered by the server that leads the bucket. The others
	// may be read from any copy, which may be a moment behind.
	Exact bool
	// DropOldest makes a full bucket drop its oldest values, where the others
	// refuse the new one.
	DropOldest bool
}

// Sizes, so that the table stays readable.
const (
	kib = int64(1) << 10
	mib = kib << 10
	gib = mib << 10
	day = 24 * time.Hour
)

// Buckets returns the buckets in the order in which they are made.
func Buckets() []BucketSpec {
	return []BucketSpec{
		{Name: Facts, History: 5, MaxBytes: 4 * gib, MaxValueSize: int32(256 * kib), Untrusted: true},
		{Name: SettingsFiles, History: 3, MaxBytes: gib, MaxValueSize: int32(512 * kib)},
		{Name: Secrets, History: 3, MaxBytes: gib, MaxValueSize: int32(64 * kib)},
		{Name: Basket, History: 1, MaxBytes: gib, MaxValueSize: int32(256 * kib)},
		{Name: Jobs, History: 10, TTL: 7 * day, MaxBytes: 2 * gib, MaxValueSize: int32(1000 * kib), Exact: true},
		{Name: JobReturns, History: 1, TTL: 7 * day, MaxBytes: 8 * gib, MaxValueSize: int32(1000 * kib),
			Untrusted: true, DropOldest: true},
		{Name: MasterHeartbeat, History: 1, TTL: 15 * time.Second, MaxBytes: 16 * mib, MaxValueSize: int32(16 * kib), Remade: true},
		{Name: Enrollments, History: 10, MaxBytes: 2 * gib, MaxValueSize: int32(16 * kib), Exact: true},
		{Name: EnrollChallenges, History: 1, TTL: 5 * time.Minute, Memory: true, MaxBytes: 64 * mib, MaxValueSize: int32(4 * kib), Remade: true, Exact: true},
		{Name: StateFiles, History: 3, MaxBytes: 2 * gib, MaxValueSize: int32(512 * kib)},
		{Name: UpdateManifests, History: 5, MaxBytes: 64 * mib, MaxValueSize: int32(64 * kib)},
		{Name: UpdateStatus, History: 1, TTL: time.Minute, MaxBytes: 256 * mib, MaxValueSize: int32(16 * kib), Remade: true},
		{Name: UpdateRollouts, History: 10, MaxBytes: 256 * mib, MaxValueSize: int32(256 * kib)},
	}
}

// StreamConfig is the bucket as a stream, on a number of replicas.
func (b BucketSpec) StreamConfig(replicas int) jetstream.StreamConfig {
	cfg := jetstream.StreamConfig{
		Name:              "KV_" + b.Name,
		Subjects:          []string{"$KV." + b.Name + ".>"},
		MaxMsgsPerSubject: int64(b.History),
		MaxBytes:          b.MaxBytes,
		MaxAge:            b.TTL,
		MaxMsgSize:        b.MaxValueSize,
		MaxMsgs:           -1,
		MaxConsumers:      1000,
		Storage:           jetstream.FileStorage,
		Replicas:          replicas,
		Discard:           jetstream.DiscardNew,
		Duplicates:        DuplicateWindow,
		AllowDirect:       !b.Exact,
		AllowRollup:       !b.Untrusted,
		// Masters store what a fleet says at once in batches, each synced once.
		AllowAtomicPublish: b.Untrusted,
		DenyDelete:         true,
	}
	if b.TTL > 0 && b.TTL < DuplicateWindow {
		cfg.Duplicates = b.TTL
	}
	if b.Memory {
		cfg.Storage = jetstream.MemoryStorage
	}
	if b.DropOldest {
		cfg.Discard = jetstream.DiscardOld
	}
	return cfg
}

// EventsConfig is the stream job-events, which masters alone write.
func EventsConfig(replicas int) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:         EventsStream,
		Subjects:     []string{JobEvents, StoredEvents},
		Storage:      jetstream.FileStorage,
		Replicas:     replicas,
		Retention:    jetstream.LimitsPolicy,
		Discard:      jetstream.DiscardOld,
		MaxAge:       7 * day,
		MaxBytes:     gib,
		MaxMsgs:      -1,
		MaxMsgSize:   int32(64 * kib),
		MaxConsumers: 1000,
		Duplicates:   DuplicateWindow,
		AllowDirect:  true,
		DenyDelete:   true,

		MaxMsgsPerSubject: -1, // as the server writes it: 0 would be a change at every start
	}
}

// FilesConfig is the stream of files that are on their way. Servers alone write
// and read it. What is in it is removed by who keeps it; the age is for what a
// crash left behind.
func FilesConfig(replicas int) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:              FilesStream,
		Subjects:          []string{"blob.>"},
		Storage:           jetstream.FileStorage,
		Replicas:          replicas,
		Retention:         jetstream.LimitsPolicy,
		Discard:           jetstream.DiscardNew,
		MaxMsgsPerSubject: 1,
		MaxAge:            30 * day,
		MaxBytes:          8 * gib,
		MaxMsgs:           -1,
		MaxMsgSize:        int32(544 * kib),
		MaxConsumers:      100,
		Duplicates:        DuplicateWindow,
		AllowDirect:       true,
		DenyDelete:        true,
	}
}
