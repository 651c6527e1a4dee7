package target

import (
	"strconv"
	"time"

	"github.com/rind-project/rind/internal/fleet"
)

// leaf is a single value of the facts.
type leaf struct {
	kind leafKind
	text *string // of a text; writing to it changes the facts
	n    int64   // of the other kinds: 0 or 1 of a flag, Unix seconds of a moment
}

type leafKind uint8

const (
	textLeaf leafKind = iota
	flagLeaf
	numberLeaf
	momentLeaf
)

// String is the value as globs and regular expressions see it.
func (l leaf) String() string {
	switch l.kind {
	case textLeaf:
		return *l.text
	case flagLeaf:
		return strconv.FormatBool(l.n == 1)
	case momentLeaf:
		return formatMoment(l.n)
	}
	return strconv.FormatInt(l.n, 10)
}

func formatMoment(n int64) string { return time.Unix(n, 0).UTC().Format(time.RFC3339) }

// place is where in lists a leaf stands: in interfaces.2.addresses.1 it is
// {2, 1}. A number below zero is no place, in a list of what is asked any.
type place [2]int

func (p place) in(asked place) bool {
	return (asked[0] < 0 || asked[0] == p[0]) && (asked[1] < 0 || asked[1] == p[1])
}

var nowhere = place{-1, -1}

// listLevel says which of the keys are lists, and at which level.
func listLevel(key string) (int, bool) {
	switch key {
	case "disks", "mounts", "interfaces":
		return 0, true
	case "interfaces.addresses":
		return 1, true
	}
	return 0, false
}

// visit takes a leaf. The key has no places: interfaces.addresses.
type visit func(key string, at place, l leaf)

func (v visit) text(key string, at place, s *string) { v(key, at, leaf{kind: textLeaf, text: s}) }

// some is text for what the JSON form leaves out when it is empty.
func (v visit) some(key string, at place, s *string) {
	if *s != "" {
		v.text(key, at, s)
	}
}

func (v visit) number(key string, at place, n int64) { v(key, at, leaf{kind: numberLeaf, n: n}) }

func (v visit) flag(key string, at place, yes bool) {
	l := leaf{kind: flagLeaf}
	if yes {
		l.n = 1
	}
	v(key, at, l)
}

// leaves visits every value of the facts. It is written out by hand because
// reflection takes several times as long, and an index of 100,000 peels visits
// millions; a test holds it against package facts.
func leaves(f *fleet.Facts, v visit) {
	id := string(f.ID)
	v.text("id", nowhere, &id)
	v.text("hostname", nowhere, &f.Hostname)
	v.some("fqdn", nowhere, &f.FQDN)
	v.some("machine_id", nowhere, &f.MachineID)
	v.text("os", nowhere, &f.OS)
	v.some("os_family", nowhere, &f.OSFamily)
	v.some("os_version", nowhere, &f.OSVersion)
	v.some("os_codename", nowhere, &f.OSCodename)
	v.some("os_pretty", nowhere, &f.OSPretty)
	v.text("kernel_name", nowhere, &f.KernelName)
	v.text("kernel", nowhere, &f.Kernel)
	v.text("arch", nowhere, &f.Arch)
	v.some("cpu.model", nowhere, &f.CPU.Model)
	v.number("cpu.count", nowhere, int64(f.CPU.Count))
	v.number("mem.total", nowhere, f.Mem.Total)
	v.number("mem.swap", nowhere, f.Mem.Swap)
	listLeaves(f, v)
	v.some("virtual", nowhere, &f.Virtual)
	v.some("pkg_manager", nowhere, &f.PkgManager)
	v.some("init", nowhere, &f.Init)
	if !f.BootTime.IsZero() {
		v("boot_time", nowhere, leaf{kind: momentLeaf, n: f.BootTime.Unix()})
	}
	v.text("peel.version", nowhere, &f.Peel.Version)
}

func listLeaves(f *fleet.Facts, v visit) {
	for i := range f.Disks {
		d, at := &f.Disks[i], place{i, -1}
		v.text("disks.name", at, &d.Name)
		v.number("disks.size", at, d.Size)
		v.some("disks.model", at, &d.Model)
		v.flag("disks.rotational", at, d.Rotational)
	}
	for i := range f.Mounts {
		m, at := &f.Mounts[i], place{i, -1}
		v.text("mounts.device", at, &m.Device)
		v.text("mounts.path", at, &m.Path)
		v.text("mounts.fs_type", at, &m.FSType)
		v.number("mounts.size", at, m.Size)
	}
	for i := range f.Interfaces {
		n, at := &f.Interfaces[i], place{i, -1}
		v.text("interfaces.name", at, &n.Name)
		v.some("interfaces.mac", at, &n.MAC)
		v.number("interfaces.mtu", at, int64(n.MTU))
		v.flag("interfaces.up", at, n.Up)
		for j := range n.Addresses {
			v.text(addressKey, place{i, j}, &n.Addresses[j])
		}
	}
}

// addressKey is the key of the addresses of a host.
const addressKey = "interfaces.addresses"
