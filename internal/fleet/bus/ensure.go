package bus

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/rind-project/rind/internal/base/errs"
)

// Names in a stream's metadata.
const (
	metaReplicas = "rind.replicas" // the number of replicas that we set last
	metaMade     = "rind.made"     // which buckets were made once, on the keepers of that list
)

// noStorage is the server's code for storage that is used up or reserved.
const noStorage jetstream.ErrorCode = 10047

// Capacity is what the servers have that keep streams.
type Capacity struct {
	Servers int   // how many there are
	Store   int64 // bytes on the disk of the smallest; 0: the account says
	Memory  int64 // bytes in the memory of the smallest; 0: the account says
}

// Ensure makes every bucket, and the streams of events and files, as they are
// configured here, for a cluster of clusterSize servers. What exists is
// brought to these settings, except its size and a number of replicas that an
// operator has set.
//
// When a bucket that was made once, and whose content is not made again by
// itself, is gone, Ensure makes nothing and returns an error that says so.
func Ensure(ctx context.Context, js jetstream.JetStream, clusterSize int) error {
	return EnsureWithin(ctx, js, Capacity{Servers: clusterSize})
}

// EnsureWithin is Ensure for servers of which more is known.
func EnsureWithin(ctx context.Context, js jetstream.JetStream, have Capacity) error {
	specs, err := fitted(ctx, js, have)
	if err != nil {
		return err
	}
	if err := checkLost(ctx, js, specs); err != nil {
		return err
	}
	replicas := min(3, max(1, have.Servers))
	for _, s := range specs {
		if err := ensureStream(ctx, js, s, replicas); err != nil {
			return err
		}
	}
	return recordMade(ctx, js)
}

// fitted returns the wanted streams, with sizes that together fit into what
// the account may store: a stream reserves its size when it is made.
func fitted(ctx context.Context, js jetstream.JetStream, have Capacity) ([]jetstream.StreamConfig, error) {
	info, err := js.AccountInfo(ctx)
	if err != nil {
		return nil, fmt.Errorf("asking the bus for its storage limits: %w", err)
	}
	var specs []jetstream.StreamConfig
	for _, b := range Buckets() {
		specs = append(specs, b.StreamConfig(1))
	}
	specs = append(specs, EventsConfig(1), FilesConfig(1))
	shrink(specs, jetstream.FileStorage, tighter(info.Limits.MaxStore, have.Store))
	shrink(specs, jetstream.MemoryStorage, tighter(info.Limits.MaxMemory, have.Memory))
	return specs, nil
}

// tighter is the smaller of two limits, of which those of zero or less are none.
func tighter(a, b int64) int64 {
	if a <= 0 || b > 0 && b < a {
		return b
	}
	return a
}

// shrink scales the sizes of one storage to 90 % of the limit, when they are
// over it. A limit of zero or less is none.
func shrink(specs []jetstream.StreamConfig, storage jetstream.StorageType, limit int64) {
	var sum int64
	for _, s := range specs {
		if s.Storage == storage {
			sum += s.MaxBytes
		}
	}
	limit = limit / 10 * 9
	if limit <= 0 || sum <= limit {
		return
	}
	for i := range specs {
		if specs[i].Storage == storage {
			specs[i].MaxBytes = max(1<<20, int64(float64(specs[i].MaxBytes)*float64(limit)/float64(sum)))
		}
	}
}

func ensureStream(ctx context.Context, js jetstream.JetStream, want jetstream.StreamConfig, replicas int) error {
	want.Replicas = replicas
	want.Metadata = map[string]string{metaReplicas: strconv.Itoa(replicas)}
	s, err := js.Stream(ctx, want.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return makeStream(ctx, js, want)
	}
	if err != nil {
		return fmt.Errorf("looking at %s: %w", want.Name, err)
	}
	have := s.CachedInfo().Config
	next := merge(have, want)
	if same(have, next) {
		return nil
	}
	_, err = js.UpdateStream(ctx, next)
	if api, ok := errors.AsType[*jetstream.APIError](err); ok && api.ErrorCode == noStorage {
		return errs.New(errs.Unavailable, "correcting the settings of %s, which a new version wants otherwise: the streams have reserved more than the bus may keep now; make as much room on the disk "+
			"as there was when they were made, or raise nats.jetstream.max_file_store: %w", want.Name, err)
	}
	if err != nil {
		return fmt.Errorf("correcting the settings of %s: %w", want.Name, err)
	}
	return nil
}

// makeStream makes a stream. That of files, which are on their way only, takes
// what is left where the others have the room already: they were made before
// there was this one.
func makeStream(ctx context.Context, js jetstream.JetStream, want jetstream.StreamConfig) error {
	for {
		_, err := js.CreateStream(ctx, want)
		api, ok := errors.AsType[*jetstream.APIError](err)
		full := ok && api.ErrorCode == noStorage
		switch {
		case err == nil:
			return nil
		case full && want.Name == FilesStream && want.MaxBytes >= 2*mib:
			want.MaxBytes /= 2
		case full:
			return errs.New(errs.Unavailable, "making %s (%d bytes): the bus has no room left for its buckets; raise nats.jetstream.max_file_store (48MiB at least) or make room on the disk: %w", want.Name, want.MaxBytes, err)
		default:
			return fmt.Errorf("making %s (%d bytes): %w", want.Name, want.MaxBytes, err)
		}
	}
}

// merge returns what a stream that exists should become: what we want, but
// with what belongs to the operator as it is.
func merge(have, want jetstream.StreamConfig) jetstream.StreamConfig {
	next := want
	next.Metadata = map[string]string{}
	for k, v := range have.Metadata {
		next.Metadata[k] = v
	}
	if have.Metadata[metaReplicas] == strconv.Itoa(have.Replicas) {
		next.Metadata[metaReplicas] = want.Metadata[metaReplicas]
	} else {
		next.Replicas = have.Replicas
	}
	if have.MaxBytes > 0 {
		next.MaxBytes = have.MaxBytes
	}
	next.FirstSeq = have.FirstSeq // of one that was restored: a replay of the cluster's log counts from there
	next.Description, next.Placement, next.Compression = have.Description, have.Placement, have.Compression
	return next
}

// Purge removes a key with its history from a bucket. It works on buckets that
// peels write to as well, where kv.Purge is refused.
func Purge(ctx context.Context, js jetstream.JetStream, bucket, key string) error {
	s, err := js.Stream(ctx, "KV_"+bucket)
	if err != nil {
		return Explain(bucket, err)
	}
	if err := s.Purge(ctx, jetstream.WithPurgeSubject("$KV."+bucket+"."+key)); err != nil {
		return fmt.Errorf("purging %s from the bucket %s: %w", key, bucket, err)
	}
	return nil
}

// Passing reports whether a failure is one that passes by itself: the bus is
// starting, or a bucket has no leader for a moment.
func Passing(err error) bool {
	if api, ok := errors.AsType[*jetstream.APIError](err); ok {
		return api.ErrorCode == 10008 || api.ErrorCode == 10009 // no contact with a leader; not the leader
	}
	return errors.Is(err, nats.ErrNoResponders) || errors.Is(err, jetstream.ErrNoStreamResponse) ||
		errors.Is(err, nats.ErrTimeout) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, nats.ErrConnectionReconnecting)
}

// Explain names the way out when a bucket is gone; any other error is passed
// on with the bucket's name.
func Explain(bucket string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, jetstream.ErrBucketNotFound), errors.Is(err, jetstream.ErrStreamNotFound):
		return errs.New(errs.Unavailable, "the bucket %s is gone from the bus; bring it back with rind restore: %w", bucket, err)
	case errors.Is(err, context.Canceled):
		return errs.New(errs.Unavailable, "the server is stopping, or nobody waits any more; the bucket %s was not read to its end: %w", bucket, err)
	case errors.Is(err, nats.ErrNoResponders), errors.Is(err, jetstream.ErrNoStreamResponse):
		return errs.New(errs.Unavailable, "the bucket %s does not answer: the bus is starting or chooses a new leader, or the bucket is gone and rind restore brings it back: %w", bucket, err)
	}
	return fmt.Errorf("bucket %s: %w", bucket, err)
}
