package tap

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/godbus/dbus/v5"
)

const busConfig = `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>custom</type><listen>unix:path=%s</listen><auth>EXTERNAL</auth>
<policy context="default"><allow user="*"/><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy></busconfig>
`

// bus runs a real dbus-daemon that other users reach, and returns its address.
func bus(t *testing.T) string {
	t.Helper()
	bin, err := exec.LookPath("dbus-daemon")
	if err != nil {
		t.Skipf("skipped: the test needs a real bus: %v", err)
	}
	dir, err := os.MkdirTemp("", "rind-bus-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	config, socket := filepath.Join(dir, "bus.conf"), filepath.Join(dir, "bus")
	if err := errors.Join(os.Chmod(dir, 0o755), os.WriteFile(config, fmt.Appendf(nil, busConfig, socket), 0o600)); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(bin, "--config-file="+config, "--nofork", "--print-address")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
	})
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(socket, 0o666); err != nil {
		t.Fatal(err)
	}
	return "unix:path=" + socket
}

// objects stands in for BlueZ: an adapter, and a device that is connected.
type objects struct{}

func (objects) GetManagedObjects() (map[dbus.ObjectPath]map[string]map[string]dbus.Variant, *dbus.Error) {
	return map[dbus.ObjectPath]map[string]map[string]dbus.Variant{
		"/org/bluez/hci0": {"org.bluez.Adapter1": {"Address": dbus.MakeVariant("02:00:00:00:00:01"), "Powered": dbus.MakeVariant(true)}},
		"/org/bluez/hci0/dev_02_00_00_00_00_02": {"org.bluez.Device1": {
			"Address": dbus.MakeVariant("02:00:00:00:00:02"), "Name": dbus.MakeVariant("a keyboard"), "Connected": dbus.MakeVariant(true),
		}},
	}, nil
}

// TestBluetooth has the real binary, behind its walls, watch a bus: without
// BlueZ the status says so, with it a device is in a report, and a
// configuration without Bluetooth ends it.
func TestBluetooth(t *testing.T) {
	t.Parallel()
	node, address, dir := newNode(t), bus(t), t.TempDir()
	node.up()
	text := fmt.Sprintf("interfaces: [lo]\nreport: {interval: 200ms}\nnode: {urls: [\"http://%s\"], token: %s}\n", node.addr, node.token)
	with := text + "bluetooth: {enabled: true, address: \"" + address + "\"}\n"
	r := startTap(t, filepath.Join(dir, "data"), filepath.Join(dir, "tap.yaml"), with)
	r.want("BlueZ is missed", func(s *Status) bool { return strings.Contains(s.Bluetooth, "BlueZ is not on the bus") })
	if out, _ := r.ask("check", "--config", r.conf); !strings.Contains(out, "missing: bluetooth: BlueZ is not on the bus") {
		t.Errorf("check says:\n%s", out)
	}
	conn, err := dbus.Connect(address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.Export(objects{}, "/", "org.freedesktop.DBus.ObjectManager"); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.RequestName("org.bluez", dbus.NameFlagDoNotQueue); err != nil {
		t.Fatal(err)
	}
	until(t, "the device is in a report", func() error {
		for _, rep := range node.got() {
			for _, row := range rep.Bluetooth {
				if row.Name == "a keyboard" && row.Connected {
					return nil
				}
			}
		}
		return errors.New(r.out.String())
	})
	if out, _ := r.ask("check", "--config", r.conf); !strings.Contains(out, "bluetooth: hci0 02:00:00:00:00:01 on") {
		t.Errorf("check says:\n%s", out)
	}
	r.write(text)
	r.want("Bluetooth is watched no more", func(s *Status) bool { return s.Config.Changes == 1 && s.Bluetooth == "" })
}
