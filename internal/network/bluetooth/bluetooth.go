// Package bluetooth watches the Bluetooth devices that the host's adapter
// sees, through BlueZ's D-Bus interface (org.bluez.Device1 of BlueZ 5), and
// the drones among them that advertise a Remote ID (ASTM F3411-22a, 5.4.6).
//
// The adapter belongs to BlueZ: this package opens no Bluetooth socket and
// needs no capability, only a connection to the bus. Without BlueZ it waits
// for it, and Check says what is missing.
package bluetooth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/godbus/dbus/v5"

	"github.com/rind-project/rind/internal/network/packet/remoteid"
)

// SystemBus is where BlueZ is found when no address is configured.
const SystemBus = "unix:path=/run/dbus/system_bus_socket"

// Names of BlueZ and of the bus.
const (
	bluez         = "org.bluez"
	deviceIface   = "org.bluez.Device1"
	adapterIface  = "org.bluez.Adapter1"
	objectManager = "org.freedesktop.DBus.ObjectManager"
	properties    = "org.freedesktop.DBus.Properties"
	busIface      = "org.freedesktop.DBus"
	ownerChanged  = busIface + ".NameOwnerChanged"
)

// Config says what is watched.
type Config struct {
	Enabled  bool   `yaml:"enabled" help:"take up the devices that BlueZ sees"`
	Discover bool   `yaml:"discover" help:"ask the adapters to look for devices; without it, what others ask for is seen"`
	Address  string `yaml:"address" help:"of the bus; empty is the system bus"`
}

const (
	maxDevices  = 4096
	maxDrones   = 1024
	signalQueue = 1024
	callTimeout = 10 * time.Second
	firstWait   = time.Second
	longestWait = time.Minute
)

// Counters count since the start.
type Counters struct {
	Connects  uint64 // to the bus, with BlueZ's devices read
	Failures  uint64 // connections that failed or ended
	Signals   uint64 // that were taken
	Malformed uint64 // properties and signals of other types than BlueZ's documentation has
	Over      uint64 // devices that found no room
}

// Watcher is the component. Rows are taken with Cut.
type Watcher struct {
	cfg   Config
	log   *slog.Logger
	limit time.Duration // for an answer of the bus

	cancel context.CancelFunc
	done   chan struct{}

	mu      sync.Mutex
	devices map[dbus.ObjectPath]*device
	drones  *remoteid.Table
	owner   string // BlueZ's name of its connection
	c       Counters
	problem error // why nothing is seen at the moment
}

// New makes a Watcher, which does nothing until Start.
func New(cfg Config, log *slog.Logger) *Watcher {
	return &Watcher{cfg: cfg, log: log, limit: callTimeout, devices: map[dbus.ObjectPath]*device{}, drones: remoteid.NewTable(maxDrones)}
}

// Start begins to watch, when it is enabled, and returns at once: a bus or a
// BlueZ that is not there is tried again, after a second at first, a minute at
// last.
func (w *Watcher) Start(context.Context) error {
	if !w.cfg.Enabled || w.cancel != nil {
		return nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	w.cancel, w.done = cancel, make(chan struct{})
	go w.run(ctx)
	return nil
}

// Stop ends the watching.
func (w *Watcher) Stop(ctx context.Context) error {
	if w.cancel == nil {
		return nil
	}
	w.cancel()
	select {
	case <-w.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("stop watching bluetooth: %w", ctx.Err())
	}
}

// Counters returns the counters.
func (w *Watcher) Counters() Counters {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.c
}

// Problem says why nothing is seen at the moment; nil when BlueZ is watched or
// nothing is to be.
func (w *Watcher) Problem() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.problem
}

func (w *Watcher) run(ctx context.Context) {
	defer close(w.done)
	wait := firstWait
	for {
		began := time.Now()
		err := w.watch(ctx)
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) > longestWait {
			wait = firstWait
		}
		w.failed(err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		wait = min(2*wait, longestWait)
	}
}

// failed notes why the watching ended, and logs it when it is another reason
// than the last time.
func (w *Watcher) failed(err error) {
	w.mu.Lock()
	same := w.problem != nil && w.problem.Error() == err.Error()
	w.problem = err
	w.c.Failures++
	w.removeAll()
	w.mu.Unlock()
	if !same {
		w.log.Warn("bluetooth is not watched; trying again", "error", err)
	}
}

var errGone = errors.New("the connection to the bus ended")

// watch connects, reads what BlueZ knows and follows its signals until the
// connection ends.
func (w *Watcher) watch(ctx context.Context) error {
	conn, err := connect(ctx, w.cfg.Address, w.limit)
	if err != nil {
		return err
	}
	defer conn.Close()
	signals := make(chan *dbus.Signal, signalQueue)
	conn.Signal(signals)
	if err := subscribe(ctx, conn); err != nil {
		return err
	}
	if err := w.load(ctx, conn); err != nil {
		return err
	}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case s, ok := <-signals:
			if !ok {
				return errGone
			}
			if again := w.signal(s); again {
				if err := w.load(ctx, conn); err != nil {
					return err
				}
			}
		}
	}
}

func subscribe(ctx context.Context, conn *bus) error {
	for _, match := range [][]dbus.MatchOption{
		{dbus.WithMatchSender(bluez), dbus.WithMatchInterface(objectManager)},
		{dbus.WithMatchSender(bluez), dbus.WithMatchInterface(properties), dbus.WithMatchMember("PropertiesChanged")},
		{dbus.WithMatchSender(busIface), dbus.WithMatchInterface(busIface), dbus.WithMatchMember("NameOwnerChanged"), dbus.WithMatchArg(0, bluez)},
	} {
		add := func(ctx context.Context) error { return conn.AddMatchSignalContext(ctx, match...) }
		if err := conn.ask(ctx, "ask the bus for BlueZ's signals", add); err != nil {
			return err
		}
	}
	return nil
}

type objects map[dbus.ObjectPath]map[string]map[string]dbus.Variant

// managed asks BlueZ for its objects, without the bus starting it.
func managed(ctx context.Context, conn *bus) (objects, error) {
	var all objects
	err := conn.ask(ctx, "ask BlueZ for its devices", func(ctx context.Context) error {
		return conn.Object(bluez, "/").CallWithContext(ctx, objectManager+".GetManagedObjects", dbus.FlagNoAutoStart).Store(&all)
	})
	var said dbus.Error
	switch {
	case errors.As(err, &said) && (said.Name == "org.freedesktop.DBus.Error.NameHasNoOwner" || said.Name == "org.freedesktop.DBus.Error.ServiceUnknown"):
		return nil, errors.New("BlueZ is not on the bus: install bluez and start bluetooth.service, or set bluetooth.enabled to false")
	case errors.As(err, &said) && said.Name == "org.freedesktop.DBus.Error.AccessDenied":
		return nil, fmt.Errorf("the bus does not let this user ask BlueZ: add it to the group bluetooth, "+
			"or allow it in a policy under /etc/dbus-1/system.d: %w", err)
	}
	return all, err
}

// load reads what BlueZ knows now, and asks its adapters to look around when
// that is configured.
func (w *Watcher) load(ctx context.Context, conn *bus) error {
	all, err := managed(ctx, conn)
	if err != nil {
		return err
	}
	var owner string
	if err := conn.ask(ctx, "ask the bus who BlueZ is", func(ctx context.Context) error {
		return conn.BusObject().CallWithContext(ctx, busIface+".GetNameOwner", 0, bluez).Store(&owner)
	}); err != nil {
		return err
	}
	w.mu.Lock()
	w.owner = owner
	adapters := []dbus.ObjectPath{}
	now := time.Now()
	for path, ifaces := range all {
		if props, ok := ifaces[deviceIface]; ok {
			w.add(path, props, now)
		}
		if _, ok := ifaces[adapterIface]; ok {
			adapters = append(adapters, path)
		}
	}
	w.c.Connects++
	w.problem = nil
	w.mu.Unlock()
	for _, path := range adapters {
		w.discover(ctx, conn, path)
	}
	return nil
}

func (w *Watcher) discover(ctx context.Context, conn *bus, path dbus.ObjectPath) {
	if !w.cfg.Discover {
		return
	}
	adapter := conn.Object(bluez, path)
	filter := map[string]dbus.Variant{"DuplicateData": dbus.MakeVariant(true)}
	err := conn.ask(ctx, "ask the adapter to look for devices", func(ctx context.Context) error {
		if err := adapter.CallWithContext(ctx, adapterIface+".SetDiscoveryFilter", 0, filter).Err; err != nil {
			return err
		}
		return adapter.CallWithContext(ctx, adapterIface+".StartDiscovery", 0).Err
	})
	if err != nil {
		w.log.Warn("the adapter does not look for devices", "adapter", string(path), "error", err)
	}
}
