package bus

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/nats-io/nats.go/jetstream"
)

// keepers carry the list of what was made once, in their metadata. Each that
// lasts is one, so that whatever is left knows of what is gone.
func keepers() []string { return lasting() }

// lasting returns the streams whose loss is a loss, sorted.
func lasting() []string {
	names := []string{EventsStream}
	for _, b := range Buckets() {
		if !b.Remade {
			names = append(names, "KV_"+b.Name)
		}
	}
	slices.Sort(names)
	return names
}

// ErrLost is wrapped by the error that names what vanished.
var ErrLost = errors.New("gone from the bus")

// everMade reports whether the buckets were made, by any server.
func everMade(ctx context.Context, js jetstream.JetStream) (bool, error) {
	for _, name := range keepers() {
		s, err := js.Stream(ctx, name)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			continue
		}
		if err != nil {
			return false, err
		}
		if s.CachedInfo().Config.Metadata[metaMade] != "" {
			return true, nil
		}
	}
	return false, nil
}

// checkLost returns an error that names each lasting stream which was made
// once and is not there any more.
func checkLost(ctx context.Context, js jetstream.JetStream, specs []jetstream.StreamConfig) error {
	there, made := map[string]bool{}, map[string]bool{}
	for _, want := range specs {
		s, err := js.Stream(ctx, want.Name)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			continue
		}
		if err != nil {
			return fmt.Errorf("looking at %s: %w", want.Name, err)
		}
		there[want.Name] = s.CachedInfo().Config.Metadata[metaRestoring] == "" // else its restore was cut short
		for n := range strings.SplitSeq(s.CachedInfo().Config.Metadata[metaMade], ",") {
			made[n] = true
		}
	}
	var gone []string
	for _, n := range lasting() {
		if made[n] && !there[n] {
			gone = append(gone, n)
		}
	}
	if len(gone) > 0 {
		return lost(gone)
	}
	return nil
}

// recordMade notes on the keepers that the lasting streams exist.
func recordMade(ctx context.Context, js jetstream.JetStream) error {
	list := strings.Join(lasting(), ",")
	for _, name := range keepers() {
		s, err := js.Stream(ctx, name)
		if err != nil {
			return fmt.Errorf("looking at %s: %w", name, err)
		}
		cfg := s.CachedInfo().Config
		if cfg.Metadata[metaMade] == list {
			continue
		}
		cfg.Metadata = maps.Clone(cfg.Metadata)
		cfg.Metadata[metaMade] = list
		if _, err := js.UpdateStream(ctx, cfg); err != nil {
			return fmt.Errorf("noting on %s what was made: %w", name, err)
		}
	}
	return nil
}

// same compares the settings that Ensure cares for.
func same(a, b jetstream.StreamConfig) bool {
	transform := func(c jetstream.StreamConfig) jetstream.SubjectTransformConfig {
		if c.SubjectTransform == nil {
			return jetstream.SubjectTransformConfig{}
		}
		return *c.SubjectTransform
	}
	return slices.Equal(a.Subjects, b.Subjects) && transform(a) == transform(b) &&
		a.MaxMsgsPerSubject == b.MaxMsgsPerSubject && a.MaxBytes == b.MaxBytes && a.MaxAge == b.MaxAge &&
		a.MaxMsgSize == b.MaxMsgSize && a.MaxConsumers == b.MaxConsumers && a.Storage == b.Storage &&
		a.Replicas == b.Replicas && a.Discard == b.Discard && a.Duplicates == b.Duplicates &&
		a.AllowDirect == b.AllowDirect && a.AllowRollup == b.AllowRollup && a.AllowAtomicPublish == b.AllowAtomicPublish && a.DenyDelete == b.DenyDelete &&
		a.Metadata[metaReplicas] == b.Metadata[metaReplicas]
}
