package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// deletions is where the server says that a stream was deleted.
const deletions = "$JS.EVENT.ADVISORY.STREAM.DELETED.>"

// Keeper makes the buckets at start, and makes those that hold nothing of
// value again when somebody deletes them. It is a lifecycle component.
type Keeper struct {
	conn func() *nats.Conn
	size int
	log  *slog.Logger

	mu     sync.Mutex
	sub    *nats.Subscription
	cancel context.CancelFunc
	work   sync.WaitGroup
}

// NewKeeper makes a keeper for a cluster of that many servers. It asks for the
// connection, which has every right in the fleet's account, at Start.
func NewKeeper(conn func() *nats.Conn, clusterSize int, log *slog.Logger) *Keeper {
	return &Keeper{conn: conn, size: clusterSize, log: log}
}

// Start makes what is missing.
func (k *Keeper) Start(ctx context.Context) error {
	nc := k.conn()
	if nc == nil {
		return errors.New("the buckets need a connection to the bus")
	}
	js, err := jetstream.New(nc)
	if err != nil {
		return fmt.Errorf("making the buckets: %w", err)
	}
	if err := Ensure(ctx, js, k.size); err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	k.cancel = cancel
	k.sub, err = nc.Subscribe(deletions, func(m *nats.Msg) { k.deleted(running, js, m) })
	if err != nil {
		cancel()
		return fmt.Errorf("watching the buckets: %w", err)
	}
	return nil
}

func (k *Keeper) deleted(ctx context.Context, js jetstream.JetStream, m *nats.Msg) {
	var advisory struct {
		Stream string `json:"stream"`
	}
	if err := json.Unmarshal(m.Data, &advisory); err != nil {
		return
	}
	for _, b := range Buckets() {
		if b.Remade && "KV_"+b.Name == advisory.Stream {
			k.work.Go(func() { k.remake(ctx, js, b.Name) })
			return
		}
	}
	for _, name := range lasting() {
		if name == advisory.Stream {
			k.log.Error("somebody deleted what cannot be made again; nothing more is written to it until it is brought back with rind restore", "bucket", strings.TrimPrefix(name, "KV_"))
		}
	}
}

// remake waits a moment before each try: the server tells of a deletion before
// it has removed the files.
func (k *Keeper) remake(ctx context.Context, js jetstream.JetStream, name string) {
	for wait := 500 * time.Millisecond; ; wait = min(2*wait, time.Minute) {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		trying, cancel := context.WithTimeout(ctx, 10*time.Second)
		err := Ensure(trying, js, k.size)
		cancel()
		if err == nil {
			k.log.Warn("somebody deleted a bucket; it is made again", "bucket", name)
			return
		}
		k.log.Error("making a deleted bucket again", "bucket", name, "error", err)
	}
}

// Stop ends the watching.
func (k *Keeper) Stop(context.Context) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.sub == nil {
		return nil
	}
	err := k.sub.Unsubscribe()
	k.sub = nil
	k.cancel()
	k.work.Wait()
	if errors.Is(err, nats.ErrConnectionClosed) {
		return nil
	}
	return err
}
