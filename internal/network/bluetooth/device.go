package bluetooth

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/godbus/dbus/v5"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/packet/parse"
)

const (
	maxServices  = 16
	maxCompanies = 16
	maxName      = 248                                    // bytes, Bluetooth Core 5.4, Vol 3 Part C, 3.2.2
	remoteIDUUID = "0000fffa-0000-1000-8000-00805f9b34fb" // ASTM International
	remoteIDCode = 0x0d
)

// device is what BlueZ said of one.
type device struct {
	mac       network.MAC
	random    bool
	name      string
	class     uint32
	companies []uint16
	services  []string
	signal    int8
	connected bool
	gone      bool
	seen      time.Time // in this report, else zero
	last      time.Time
}

// signal takes one of BlueZ's signals. It asks for its objects to be read
// again when BlueZ has come back to the bus.
func (w *Watcher) signal(s *dbus.Signal) (again bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if s.Sender != w.owner && s.Name != ownerChanged || s.Name == ownerChanged && s.Sender != busIface {
		return false // anybody on the bus can send signals to this connection
	}
	now := time.Now()
	var err error
	switch s.Name {
	case objectManager + ".InterfacesAdded":
		var path dbus.ObjectPath
		var ifaces map[string]map[string]dbus.Variant
		if err = dbus.Store(s.Body, &path, &ifaces); err != nil {
			break
		}
		if props, ok := ifaces[deviceIface]; ok {
			w.add(path, props, now)
		}
		_, again = ifaces[adapterIface]
	case objectManager + ".InterfacesRemoved":
		var path dbus.ObjectPath
		var ifaces []string
		if err = dbus.Store(s.Body, &path, &ifaces); err == nil && slices.Contains(ifaces, deviceIface) {
			w.remove(path)
		}
	case properties + ".PropertiesChanged":
		var iface string
		var changed map[string]dbus.Variant
		var without []string
		if err = dbus.Store(s.Body, &iface, &changed, &without); err == nil && iface == deviceIface {
			w.change(s.Path, changed, without, now)
		}
	case ownerChanged:
		var name, before, after string
		if err = dbus.Store(s.Body, &name, &before, &after); err == nil && name == bluez {
			w.removeAll()
			w.owner, again = after, after != ""
		}
	default:
		return false
	}
	w.c.Signals++
	if err != nil {
		w.c.Malformed++
	}
	return again
}

// add takes a device that BlueZ knows. It counts as seen when there is a
// signal of it, or a connection: BlueZ remembers paired ones that are away.
func (w *Watcher) add(path dbus.ObjectPath, props map[string]dbus.Variant, now time.Time) {
	d := w.devices[path]
	if d == nil {
		if len(w.devices) >= maxDevices {
			w.c.Over++
			return
		}
		d = &device{}
	}
	d.gone = false
	w.take(d, props, now)
	if d.mac == (network.MAC{}) {
		w.c.Malformed++
		return
	}
	if d.signal != 0 || d.connected {
		d.see(now)
	}
	w.devices[path] = d
}

// change takes changed properties. A signal, or what a device advertises, says
// that it was heard, and so does a connection that began or ended.
func (w *Watcher) change(path dbus.ObjectPath, changed map[string]dbus.Variant, without []string, now time.Time) {
	d := w.devices[path]
	if d == nil {
		return
	}
	was := d.connected
	w.take(d, changed, now)
	_, rssi := changed["RSSI"]
	_, maker := changed["ManufacturerData"]
	_, service := changed["ServiceData"]
	if rssi || maker || service || d.connected || was {
		d.see(now)
	}
	if slices.Contains(without, "RSSI") && d.seen.IsZero() {
		d.signal = 0
	}
}

func (d *device) see(now time.Time) { d.seen, d.last = now, now }

// remove forgets a device, after the report in which it was seen.
func (w *Watcher) remove(path dbus.ObjectPath) {
	d := w.devices[path]
	switch {
	case d == nil:
	case d.seen.IsZero():
		delete(w.devices, path)
	default:
		d.gone, d.connected = true, false
	}
}

func (w *Watcher) removeAll() {
	for path := range w.devices {
		w.remove(path)
	}
}

// take reads properties by the types that BlueZ's documentation gives them
// (org.bluez.Device(5)).
func (w *Watcher) take(d *device, props map[string]dbus.Variant, now time.Time) {
	for name, v := range props {
		if !w.property(d, name, v.Value()) {
			w.c.Malformed++
		}
	}
	if v, ok := props["ServiceData"]; ok {
		w.remoteID(d, v.Value(), now)
	}
}

func (w *Watcher) property(d *device, name string, v any) (ok bool) {
	switch name {
	case "Address":
		var s string
		if s, ok = v.(string); ok {
			ok = d.mac.UnmarshalText([]byte(s)) == nil
		}
	case "AddressType":
		var s string
		s, ok = v.(string)
		d.random = s == "random"
	case "Name":
		var s string
		s, ok = v.(string)
		d.name = s[:min(len(s), maxName)]
	case "Class":
		d.class, ok = v.(uint32)
	case "RSSI":
		var n int16
		if n, ok = v.(int16); ok && n < 0 && n >= -128 {
			d.signal = int8(n)
		}
	case "Connected":
		d.connected, ok = v.(bool)
	case "UUIDs":
		var all []string
		all, ok = v.([]string)
		d.services = slices.Clone(all[:min(len(all), maxServices)])
	case "ManufacturerData":
		var all map[uint16]dbus.Variant
		all, ok = v.(map[uint16]dbus.Variant)
		for id := range all {
			if !slices.Contains(d.companies, id) && len(d.companies) < maxCompanies {
				d.companies = append(d.companies, id)
			}
		}
		slices.Sort(d.companies)
	default:
		ok = true
	}
	return ok
}

// remoteID reads a drone's advertisement: a code, a counter, a message.
func (w *Watcher) remoteID(d *device, v any, now time.Time) {
	all, ok := v.(map[string]dbus.Variant)
	if !ok {
		w.c.Malformed++
		return
	}
	said, ok := all[remoteIDUUID]
	if !ok || d.mac == (network.MAC{}) {
		return
	}
	if b, ok := said.Value().([]byte); ok && len(b) > 2 && b[0] == remoteIDCode {
		w.drones.Message(now.UnixNano(), d.mac, "bluetooth", d.signal, b[2:])
	}
}

// Cut appends the devices and drones that were seen since the last Cut to a
// report. It may be called from another goroutine than Start.
func (w *Watcher) Cut(out *parse.Out) {
	w.mu.Lock()
	defer w.mu.Unlock()
	out.Flow = nil // the rows are of no flow
	paths := make([]dbus.ObjectPath, 0, len(w.devices))
	for path, d := range w.devices {
		if !d.seen.IsZero() || d.connected {
			paths = append(paths, path)
		}
	}
	slices.Sort(paths)
	for _, path := range paths {
		d := w.devices[path]
		parse.Add(out, &out.Records.Bluetooth, d.row(out))
		d.seen = time.Time{}
		if d.gone {
			delete(w.devices, path)
		}
	}
	w.drones.Cut(out)
}

func (d *device) row(out *parse.Out) network.Bluetooth {
	row := network.Bluetooth{
		Time: d.last.UTC(), MAC: d.mac, Random: d.random, Name: out.Text([]byte(d.name)), Class: d.class,
		Signal: d.signal, Connected: d.connected,
	}
	ids := make([]string, len(d.companies))
	for i, id := range d.companies {
		ids[i] = strconv.Itoa(int(id))
	}
	row.Vendor = out.Intern([]byte(strings.Join(ids, ",")))
	for _, s := range d.services {
		row.Services = append(row.Services, out.Lower([]byte(s)))
	}
	return row
}
