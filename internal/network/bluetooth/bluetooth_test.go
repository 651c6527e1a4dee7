package bluetooth

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/packet/parse"
	"github.com/rind-project/rind/internal/network/packet/remoteid/remoteidtest"
)

const busConfig = `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>custom</type><listen>unix:path=%s</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/>%s</policy></busconfig>
`

// dbusDaemon runs a real dbus-daemon of its own, with a policy, and returns its
// address.
func dbusDaemon(t *testing.T, policy string) string {
	t.Helper()
	bin, err := exec.LookPath("dbus-daemon")
	if err != nil {
		t.Skip("no dbus-daemon: the test needs a real bus")
	}
	dir := t.TempDir()
	config, socket := filepath.Join(dir, "bus.conf"), filepath.Join(dir, "bus")
	if err := os.WriteFile(config, fmt.Appendf(nil, busConfig, socket, policy), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), bin, "--config-file="+config, "--nofork", "--print-address")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	address, err := bufio.NewReader(out).ReadString('\n') // it listens once it has said so
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(address)
}

type props = map[string]dbus.Variant

// fakeBlueZ stands in for BlueZ and its hardware, which a test machine does
// not have: it owns the name org.bluez on a real bus and answers what BlueZ
// documents. It never fails by itself.
type fakeBlueZ struct {
	t    *testing.T
	conn *dbus.Conn

	mu       sync.Mutex
	all      objects
	discover []string
}

func newBlueZ(t *testing.T, address string, all objects) *fakeBlueZ {
	t.Helper()
	conn, err := dbus.Connect(address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	b := &fakeBlueZ{t: t, conn: conn, all: all}
	if err := conn.ExportMethodTable(map[string]any{"GetManagedObjects": func() (objects, *dbus.Error) {
		b.mu.Lock()
		defer b.mu.Unlock()
		return b.all, nil
	}}, "/", objectManager); err != nil {
		t.Fatal(err)
	}
	if err := conn.ExportMethodTable(map[string]any{
		"SetDiscoveryFilter": func(f props) *dbus.Error { return b.note(fmt.Sprint("filter ", f["DuplicateData"])) },
		"StartDiscovery":     func() *dbus.Error { return b.note("start") },
	}, "/org/bluez/hci0", adapterIface); err != nil {
		t.Fatal(err)
	}
	if got, err := conn.RequestName(bluez, dbus.NameFlagDoNotQueue); err != nil || got != dbus.RequestNameReplyPrimaryOwner {
		t.Fatalf("own %s: %v, %v", bluez, got, err)
	}
	return b
}

func (b *fakeBlueZ) note(s string) *dbus.Error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.discover = append(b.discover, s)
	return nil
}

func (b *fakeBlueZ) emit(path dbus.ObjectPath, name string, values ...any) {
	b.t.Helper()
	if err := b.conn.Emit(path, name, values...); err != nil {
		b.t.Fatal(err)
	}
}

func (b *fakeBlueZ) change(path dbus.ObjectPath, changed props, without ...string) {
	b.t.Helper()
	b.emit(path, properties+".PropertiesChanged", deviceIface, changed, append([]string{}, without...))
}

func v(x any) dbus.Variant { return dbus.MakeVariant(x) }

func adapter(on bool) map[string]props {
	return map[string]props{adapterIface: {"Address": v("00:11:22:33:44:55"), "Powered": v(on), "Discovering": v(false)}}
}

func dev(address string, more props) map[string]props {
	p := props{"Address": v(address), "AddressType": v("public")}
	for k, x := range more {
		p[k] = x
	}
	return map[string]props{deviceIface: p}
}

func watcher(t *testing.T, cfg Config) *Watcher {
	t.Helper()
	cfg.Enabled = true
	w := New(cfg, slog.New(slog.DiscardHandler))
	if err := w.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return w
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within a minute: %s", what)
		}
	}
}

func cut(w *Watcher) network.Records {
	out := parse.NewOut(1000, 1<<20)
	w.Cut(out)
	return out.Cut()
}

var noTimes = cmp.Options{
	cmpopts.IgnoreFields(network.Bluetooth{}, "Time"), cmpopts.IgnoreFields(network.Drone{}, "Time"),
}

const (
	hci0   = dbus.ObjectPath("/org/bluez/hci0")
	watch  = dbus.ObjectPath("/org/bluez/hci0/dev_00_00_00_00_00_01")
	paired = dbus.ObjectPath("/org/bluez/hci0/dev_00_00_00_00_00_02")
	drone  = dbus.ObjectPath("/org/bluez/hci0/dev_00_00_00_00_00_03")
)

// TestWatch follows devices over a real bus: those that were known, appear,
// change and go, and BlueZ that restarts.
func TestWatch(t *testing.T) {
	t.Parallel()
	address := dbusDaemon(t, "")
	b := newBlueZ(t, address, objects{
		"/": {}, hci0: adapter(true),
		watch: dev("00:00:00:00:00:01", props{"AddressType": v("random"), "Name": v("Watch\x01"), "RSSI": v(int16(-60)), "Class": v(uint32(0x704)),
			"UUIDs": v([]string{"0000180D-0000-1000-8000-00805F9B34FB"}), "ManufacturerData": v(map[uint16]dbus.Variant{76: v([]byte{1}), 6: v([]byte{2})})}),
		paired: dev("00:00:00:00:00:02", props{"Name": v("Paired, away"), "Connected": v(false)}),
	})
	w := watcher(t, Config{Address: address, Discover: true})
	eventually(t, "BlueZ's devices are read", func() bool { return w.Counters().Connects == 1 })
	first := network.Bluetooth{MAC: network.MAC{5: 1}, Random: true, Name: `Watch\001`, Class: 0x704, Vendor: "6,76",
		Services: []string{"0000180d-0000-1000-8000-00805f9b34fb"}, Signal: -60}
	if diff := cmp.Diff(network.Records{Bluetooth: []network.Bluetooth{first}}, cut(w), noTimes); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(network.Records{}, cut(w)); diff != "" {
		t.Errorf("what was not heard again: %s", diff)
	}
	eventually(t, "the adapter was asked to look around", func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return cmp.Equal(b.discover, []string{"filter true", "start"})
	})

	rid := append([]byte{remoteIDCode, 1}, remoteidtest.Basic(1, 2, "1581F4AB")...)
	b.change(watch, props{"RSSI": v(int16(-50)), "Odd": v("ignored")})
	b.change(paired, props{"Connected": v(true)})
	b.emit("/", objectManager+".InterfacesAdded", drone, dev("00:00:00:00:00:03", props{"RSSI": v(int16(-70)),
		"ServiceData": v(map[string]dbus.Variant{remoteIDUUID: v(rid)})}))
	eventually(t, "three signals", func() bool { return w.Counters().Signals >= 3 })
	first.Signal = -50
	want := network.Records{
		Bluetooth: []network.Bluetooth{first, {MAC: network.MAC{5: 2}, Name: "Paired, away", Connected: true}, {MAC: network.MAC{5: 3}, Signal: -70}},
		Drones:    []network.Drone{{MAC: network.MAC{5: 3}, Transport: "bluetooth", ID: "1581F4AB", IDType: "serial", Type: "helicopter or multirotor", Signal: -70, Messages: 1}},
	}
	if diff := cmp.Diff(want, cut(w), noTimes); diff != "" {
		t.Error(diff)
	}

	b.change(drone, props{"RSSI": v(int16(-65))})
	b.emit("/", objectManager+".InterfacesRemoved", drone, []string{deviceIface})
	b.emit("/", objectManager+".InterfacesRemoved", watch, []string{deviceIface})
	b.change(watch, props{"RSSI": v(int16(-65))}) // it is not known any more
	b.change(paired, props{"RSSI": v("not a number")})
	eventually(t, "five signals", func() bool { return w.Counters().Signals >= 8 })
	want = network.Records{Bluetooth: []network.Bluetooth{want.Bluetooth[1], {MAC: network.MAC{5: 3}, Signal: -65}}}
	if diff := cmp.Diff(want, cut(w), noTimes); diff != "" {
		t.Error(diff)
	}
	if c := w.Counters(); c.Malformed != 1 || c.Over != 0 {
		t.Errorf("%+v", c)
	}

	b.conn.Close() // BlueZ ends, and starts again
	eventually(t, "the name is free", func() bool { return len(cut(w).Bluetooth) == 0 })
	newBlueZ(t, address, objects{hci0: adapter(true), watch: dev("00:00:00:00:00:01", props{"RSSI": v(int16(-40))})})
	eventually(t, "BlueZ is read again", func() bool { return len(cut(w).Bluetooth) == 1 })
}

// TestWithout starts before BlueZ is there, says why nothing is seen, and goes
// on when it comes.
func TestWithout(t *testing.T) {
	t.Parallel()
	address := dbusDaemon(t, "")
	w := watcher(t, Config{Address: address})
	eventually(t, "a problem", func() bool { return w.Problem() != nil })
	if err := w.Problem(); !strings.Contains(err.Error(), "BlueZ is not on the bus: install bluez") {
		t.Error(err)
	}
	newBlueZ(t, address, objects{hci0: adapter(true)})
	eventually(t, "BlueZ is watched", func() bool { return w.Problem() == nil && w.Counters().Connects > 0 })
}

// TestSilentBus connects to something that takes connections and never says a
// word, and to a bus whose BlueZ never answers: both are given up, with a reason,
// and the watcher can be stopped meanwhile.
func TestSilentBus(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "bus")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	taken := make(chan net.Conn, 16)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			taken <- c
		}
	}()
	address := "unix:path=" + path
	if _, err := check(t.Context(), Config{Enabled: true, Address: address}, 50*time.Millisecond); err == nil || !strings.Contains(err.Error(), path+": nobody answered within 50ms; restart D-Bus") {
		t.Errorf("a silent bus: %v", err)
	}
	c := <-taken // and what was opened is closed
	_ = c.SetReadDeadline(time.Now().Add(time.Minute))
	if _, err := io.Copy(io.Discard, c); err != nil {
		t.Errorf("the connection stays open: %v", err)
	}
	c.Close()

	w := New(Config{Enabled: true, Address: address}, slog.New(slog.DiscardHandler))
	w.limit = 50 * time.Millisecond
	if err := w.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the silence is told", func() bool { return w.Problem() != nil })
	if err := w.Problem(); !strings.Contains(err.Error(), "nobody answered") {
		t.Error(err)
	}

	if err := w.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestSilentBlueZ: one that owns its name and does not answer is told too.
func TestSilentBlueZ(t *testing.T) {
	t.Parallel()
	address := dbusDaemon(t, "")
	conn, err := dbus.Connect(address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.RequestName(bluez, dbus.NameFlagDoNotQueue); err != nil {
		t.Fatal(err)
	}
	if err := conn.ExportMethodTable(map[string]any{"GetManagedObjects": func() (objects, *dbus.Error) { select {} }}, "/", objectManager); err != nil {
		t.Fatal(err)
	}
	_, err = check(t.Context(), Config{Enabled: true, Address: address}, 500*time.Millisecond)
	if err == nil || err.Error() != "ask BlueZ for its devices: no answer within 500ms; restart D-Bus and BlueZ (`systemctl restart dbus bluetooth`)" {
		t.Errorf("%v", err)
	}
}

// TestBound keeps 4096 devices and counts the others.
func TestBound(t *testing.T) {
	t.Parallel()
	w := New(Config{}, slog.New(slog.DiscardHandler))
	for i := range 10000 {
		mac := fmt.Sprintf("02:00:00:00:%02X:%02X", i>>8, i&255)
		path := dbus.ObjectPath("/" + strings.ReplaceAll(mac, ":", ""))
		w.signal(&dbus.Signal{Name: objectManager + ".InterfacesAdded", Body: []any{path, dev(mac, props{"RSSI": v(int16(-1)), "Name": v(strings.Repeat("x", 1000))})}})
	}
	if len(w.devices) != maxDevices || w.Counters().Over != 10000-maxDevices {
		t.Errorf("%d devices, %+v", len(w.devices), w.Counters())
	}
}

// TestMalformed counts signals and properties that are not as BlueZ documents
// them, and passes over signals of anybody else.
func TestMalformed(t *testing.T) {
	t.Parallel()
	w := New(Config{}, slog.New(slog.DiscardHandler))
	w.owner = ":1.7"
	added := objectManager + ".InterfacesAdded"
	for _, s := range []dbus.Signal{
		{Name: properties + ".PropertiesChanged", Body: []any{1}},
		{Name: added, Body: []any{dbus.ObjectPath("/x"), map[string]props{deviceIface: {"Name": v("no address")}}}},
		{Name: added, Body: []any{dbus.ObjectPath("/x"), dev("00:00:00:00:00:01", props{"RSSI": v("x")})}},
		{Name: added, Body: []any{dbus.ObjectPath("/x"), dev("00:00:00:00:00:01", props{"ServiceData": v(1)})}},
	} {
		s.Sender = ":1.7"
		w.signal(&s)
	}
	if c := w.Counters(); c.Malformed != 4 || c.Signals != 4 {
		t.Errorf("%+v", c)
	}
	w.signal(&dbus.Signal{Sender: ":1.8", Name: added, Body: []any{dbus.ObjectPath("/y"), dev("00:00:00:00:00:02", props{"RSSI": v(int16(-1))})}})
	w.signal(&dbus.Signal{Sender: ":1.8", Name: ownerChanged, Body: []any{bluez, ":1.7", ":1.8"}})
	if c := w.Counters(); c.Signals != 4 || len(w.devices) != 1 || w.owner != ":1.7" {
		t.Errorf("a signal of another sender was taken: %+v", c)
	}
}

// TestCheck says what is missing.
func TestCheck(t *testing.T) {
	t.Parallel()
	check := func(cfg Config, want string) {
		t.Helper()
		text, err := Check(t.Context(), cfg)
		if got := fmt.Sprint(text, " | ", err); !strings.Contains(got, want) {
			t.Errorf("%s\nwant %s", got, want)
		}
	}
	check(Config{}, "not watched: bluetooth.enabled is false | <nil>")
	check(Config{Enabled: true, Address: "unix:path=/nonexistent/bus"}, "start D-Bus and BlueZ (bluetooth.service), or set bluetooth.enabled to false")
	address := dbusDaemon(t, "")
	cfg := Config{Enabled: true, Address: address}
	check(cfg, "BlueZ is not on the bus")
	b := newBlueZ(t, address, objects{"/": {}})
	check(cfg, "BlueZ has no adapter")
	set := func(o objects) { b.mu.Lock(); b.all = o; b.mu.Unlock() }
	set(objects{hci0: adapter(false)})
	check(cfg, "no adapter is on (hci0 00:11:22:33:44:55 off not looking for devices; 0 devices known): `bluetoothctl power on`")
	set(objects{hci0: adapter(true), watch: dev("00:00:00:00:00:01", nil)})
	check(cfg, "hci0 00:11:22:33:44:55 on not looking for devices; 1 devices known | <nil>")
	denied := dbusDaemon(t, `<deny send_interface="`+objectManager+`"/>`)
	newBlueZ(t, denied, objects{})
	check(Config{Enabled: true, Address: denied}, "add it to the group bluetooth")
}
