package bluetooth

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/godbus/dbus/v5"
)

// Check says what would be watched: the adapters, whether they are on, and how
// many devices BlueZ knows. The error says what is missing and what to do.
func Check(ctx context.Context, cfg Config) (string, error) {
	if !cfg.Enabled {
		return "not watched: bluetooth.enabled is false", nil
	}
	return check(ctx, cfg, callTimeout)
}

// check is Check with the time that the bus has for an answer.
func check(ctx context.Context, cfg Config, limit time.Duration) (string, error) {
	conn, err := connect(ctx, cfg.Address, limit)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	all, err := managed(ctx, conn)
	if err != nil {
		return "", err
	}
	var adapters []string
	known, off := 0, 0
	for path, ifaces := range all {
		if _, ok := ifaces[deviceIface]; ok {
			known++
		}
		props, ok := ifaces[adapterIface]
		if !ok {
			continue
		}
		if on, _ := props["Powered"].Value().(bool); !on {
			off++
		}
		adapters = append(adapters, adapterText(path, props))
	}
	slices.Sort(adapters)
	text := fmt.Sprintf("%s; %d devices known", strings.Join(adapters, ", "), known)
	switch {
	case len(adapters) == 0:
		return "", errors.New("BlueZ has no adapter: plug one in, or see `rfkill list` and `bluetoothctl list`")
	case off == len(adapters):
		return "", fmt.Errorf("no adapter is on (%s): `bluetoothctl power on`", text)
	}
	return text, nil
}

func adapterText(path dbus.ObjectPath, props map[string]dbus.Variant) string {
	name := string(path[strings.LastIndexByte(string(path), '/')+1:])
	address, _ := props["Address"].Value().(string)
	text := name + " " + address
	for _, p := range []struct{ name, is, not string }{{"Powered", "on", "off"}, {"Discovering", "looking for devices", "not looking for devices"}} {
		if v, _ := props[p.name].Value().(bool); v {
			text += " " + p.is
		} else {
			text += " " + p.not
		}
	}
	return text
}
