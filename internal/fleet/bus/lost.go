package bus

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/rind-project/rind/internal/base/disk"
	"github.com/rind-project/rind/internal/base/errs"
)

// Remember names a file in which the keeper notes that the buckets were made
// once. When not one of them is there any more, that is then a loss, and not a
// fleet that begins. It has to be called before Start.
func (k *Keeper) Remember(file string) { k.file = file }

// Check returns an error that names what has vanished from the bus and cannot
// be made again. It passes again when that is brought back.
func (k *Keeper) Check(ctx context.Context) error {
	nc := k.conn()
	if nc == nil {
		return errs.New(errs.Unavailable, "the buckets need a connection to the bus")
	}
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	gone, err := missing(ctx, js)
	if err != nil {
		return fmt.Errorf("looking at the buckets: %w", err)
	}
	if len(gone) > 0 {
		return lost(gone)
	}
	return nil
}

// missing returns the lasting streams that are not there.
func missing(ctx context.Context, js jetstream.JetStream) ([]string, error) {
	there := map[string]bool{}
	names := js.StreamNames(ctx)
	for name := range names.Name() {
		there[name] = true
	}
	if err := names.Err(); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(lasting(), func(name string) bool { return there[name] }), nil
}

// lost is the error for streams that have vanished.
func lost(streams []string) error {
	names := make([]string, len(streams))
	for i, s := range streams {
		names[i] = strings.TrimPrefix(s, "KV_")
	}
	return errs.New(errs.Unavailable, "%w: %s; nothing is written to what is gone until it is brought back with rind restore", ErrLost, strings.Join(names, ", "))
}

// recall returns an error when the buckets were made once and not one of those
// that last is there.
func (k *Keeper) recall(ctx context.Context, js jetstream.JetStream) error {
	if k.file == "" {
		return nil
	}
	if _, err := os.Stat(k.file); err != nil {
		return nil //nolint:nilerr // they were never made here
	}
	gone, err := missing(ctx, js)
	if err != nil || len(gone) < len(lasting()) {
		return nil //nolint:nilerr // what the bus cannot say yet, making the buckets will
	}
	return fmt.Errorf("%w (if a fleet without any history is meant to begin here, remove %s)", lost(gone), k.file)
}

// note writes down that the buckets were made.
func (k *Keeper) note() error {
	if k.file == "" {
		return nil
	}
	if _, err := os.Stat(k.file); err == nil {
		return nil
	}
	if err := disk.WriteFile(k.file, []byte("the buckets were made\n")); err != nil && !errors.Is(err, os.ErrExist) {
		return fmt.Errorf("noting that the buckets were made: %w", err)
	}
	return nil
}
