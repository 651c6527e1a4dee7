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

	"github.com/rind-project/rind/internal/base/errs"
)

// deletions is where the server says that a stream was deleted.
const deletions = "$JS.EVENT.ADVISORY.STREAM.DELETED.>"

// Keeper makes the buckets at start, makes those that hold nothing of value
// again when somebody deletes them, and spreads all of them over more servers
// when the cluster grows. It is a lifecycle component.
type Keeper struct {
	conn     func() *nats.Conn
	capacity func(context.Context) (Capacity, error)
	log      *slog.Logger
	joined   bool
	file     string // where it is noted that the buckets were made

	mu     sync.Mutex
	sub    *nats.Subscription
	cancel context.CancelFunc
	work   sync.WaitGroup
}

// NewKeeper makes a keeper. It asks for the connection, which has every right
// in the fleet's account, at Start, and from then on now and again for what the
// servers of the cluster have.
func NewKeeper(conn func() *nats.Conn, capacity func(context.Context) (Capacity, error), log *slog.Logger) *Keeper {
	return &Keeper{conn: conn, capacity: capacity, log: log}
}

// Joined says that this server joined a fleet that there was already: it waits
// for the buckets instead of making them, since the server that has them may
// not be there yet.
func (k *Keeper) Joined() { k.joined = true }

// Pace of a keeper.
const (
	growEvery = 15 * time.Second // between looks at the size of the cluster
	startFor  = time.Minute      // for what a cluster that has just begun cannot do yet
	waitFor   = 5 * time.Minute  // for the buckets of the server that founded the fleet
)

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
	if err := k.recall(ctx, js); err != nil {
		return err
	}
	have, err := k.begin(ctx, js)
	if err != nil {
		return err
	}
	if err := k.note(); err != nil {
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
	k.work.Go(func() { k.grow(running, js, have.Servers) })
	return nil
}

// begin makes the buckets. In a cluster that has just begun, or where another
// server makes them at the same time, it tries again for a while.
func (k *Keeper) begin(ctx context.Context, js jetstream.JetStream) (Capacity, error) {
	if k.joined {
		if err := k.await(ctx, js); err != nil {
			return Capacity{}, err
		}
	}
	for began := time.Now(); ; {
		have, err := k.ensure(ctx, js)
		if err == nil || have.Servers == 1 || errors.Is(err, ErrLost) || time.Since(began) > startFor {
			return have, err
		}
		k.log.Info("the buckets cannot be made yet", "error", err)
		select {
		case <-ctx.Done():
			return have, err
		case <-time.After(time.Second):
		}
	}
}

func (k *Keeper) ensure(ctx context.Context, js jetstream.JetStream) (Capacity, error) {
	have, err := k.capacity(ctx)
	if err != nil {
		return have, err
	}
	return have, EnsureWithin(ctx, js, have)
}

// ensureOne makes one bucket that holds nothing of value, or the stream of
// files. It makes no other one: somebody may have deleted them all.
func (k *Keeper) ensureOne(ctx context.Context, js jetstream.JetStream, name string) error {
	have, err := k.capacity(ctx)
	if err != nil {
		return err
	}
	specs, err := fitted(ctx, js, have)
	if err != nil {
		return err
	}
	for _, s := range specs {
		if NameOf(s.Name) == name {
			return ensureStream(ctx, js, s, min(3, max(1, have.Servers)))
		}
	}
	return fmt.Errorf("there is no bucket %s to make", name)
}

// await waits until the fleet's buckets are there.
func (k *Keeper) await(ctx context.Context, js jetstream.JetStream) error {
	began := time.Now()
	var told time.Time
	for {
		made, err := everMade(ctx, js)
		if made {
			return nil
		}
		if time.Since(began) > waitFor {
			return errs.New(errs.Unavailable, "the fleet's buckets are not on the bus after %s: is the server that this one joined running, with nats.cluster.listen set?", waitFor)
		}
		if time.Since(told) > 10*time.Second {
			told = time.Now()
			k.log.Warn("waiting for the server that has the fleet's buckets; does it run, with nats.cluster.listen set?", "error", err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for the fleet's buckets: %w", ctx.Err())
		case <-time.After(time.Second):
		}
	}
}

// grow brings the buckets to as many servers as they are to be on.
func (k *Keeper) grow(ctx context.Context, js jetstream.JetStream, size int) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(growEvery):
		}
		asking, cancel := context.WithTimeout(ctx, time.Minute)
		have, err := k.capacity(asking)
		if err == nil && have.Servers > size {
			err = k.Check(asking) // else what is gone would be made anew, and empty
		}
		if err == nil && have.Servers > size {
			if err = EnsureWithin(asking, js, have); err == nil {
				k.log.Info("more servers keep streams; the buckets are spread over them", "servers", have.Servers, "before", size)
				size = have.Servers
			}
		}
		cancel()
		if err != nil && ctx.Err() == nil {
			k.log.Warn("cannot spread the buckets over the servers of the cluster yet", "error", err)
		}
	}
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
	if advisory.Stream == FilesStream {
		k.work.Go(func() { k.remake(ctx, js, FilesStream) })
		return
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
		err := k.ensureOne(trying, js, name)
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
