// Package hosts makes up hosts with some 60 facts each, by chance with a fixed
// beginning, so that every run has the same.
package hosts

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/rind-project/rind/internal/fleet"
)

// distro is an operating system with what comes with it.
type distro struct{ os, family, pkg, pretty, version, codename, kernel string }

var distros = []distro{
	{"Debian", "debian", "apt", "Debian GNU/Linux 12 (bookworm)", "12", "bookworm", "6.1.0-%d-amd64"},
	{"Debian", "debian", "apt", "Debian GNU/Linux 11 (bullseye)", "11", "bullseye", "5.10.0-%d-amd64"},
	{"Ubuntu", "debian", "apt", "Ubuntu 24.04.1 LTS", "24.04", "noble", "6.8.0-%d-generic"},
	{"Rocky Linux", "rhel", "dnf", "Rocky Linux 9.4 (Blue Onyx)", "9.4", "", "5.14.0-%d.el9.x86_64"},
	{"RedHat", "rhel", "dnf", "Red Hat Enterprise Linux 9.4 (Plow)", "9.4", "Plow", "5.14.0-%d.el9.x86_64"},
	{"Alpine", "alpine", "apk", "Alpine Linux v3.20", "3.20.3", "", "6.6.%d-0-lts"},
}

// Facts makes the facts of the nth peel: some 60 values, of which some are one of a
// few and some are its own.
func Facts(n int) fleet.Facts {
	r := rand.New(rand.NewPCG(uint64(n), 42))
	roles := []string{"web", "web", "web", "web", "db", "cache", "mq", "ci"}
	stages := []string{"prod", "prod", "prod", "prod", "dev"}
	id := fmt.Sprintf("%s-%05d-%s", roles[r.IntN(len(roles))], n, stages[r.IntN(len(stages))])
	d := distros[min(r.IntN(9), len(distros)-1)]
	if n%3 == 0 {
		d = distros[0]
	}
	return fleet.Facts{
		ID: fleet.PeelID(id), Hostname: id, FQDN: id + ".example.org", MachineID: fmt.Sprintf("%032d", n),
		OS: d.os, OSFamily: d.family, OSVersion: d.version, OSCodename: d.codename, OSPretty: d.pretty,
		KernelName: "Linux", Kernel: fmt.Sprintf(d.kernel, r.IntN(50)), Arch: []string{"amd64", "amd64", "arm64"}[r.IntN(3)],
		CPU:   fleet.CPU{Model: fmt.Sprintf("Intel(R) Xeon(R) Gold 63%02d", r.IntN(50)), Count: 1 << r.IntN(7)},
		Mem:   fleet.Mem{Total: int64(r.IntN(64)+1)<<30 - int64(r.IntN(1<<28)), Swap: int64(r.IntN(4)) << 30},
		Disks: disks(r), Mounts: mounts(r), Interfaces: interfaces(r, n),
		Virtual: []string{"kvm", "physical", "vmware"}[r.IntN(3)], PkgManager: d.pkg, Init: "systemd",
		BootTime: time.Unix(1780000000+int64(r.IntN(1<<24)), 0).UTC(), Peel: fleet.PeelVersion{Version: fmt.Sprintf("1.%d.0", r.IntN(4))},
	}
}

func disks(r *rand.Rand) []fleet.Disk {
	var out []fleet.Disk
	for i := range 2 {
		out = append(out, fleet.Disk{Name: fmt.Sprintf("nvme%dn1", i), Size: int64(r.IntN(50)+1) * 100e9, Model: fmt.Sprintf("MODEL-%d", r.IntN(50)), Rotational: r.IntN(8) == 0})
	}
	return out
}

func mounts(r *rand.Rand) []fleet.Mount {
	var out []fleet.Mount
	for i, path := range []string{"/", "/var", "/srv"} {
		out = append(out, fleet.Mount{Device: fmt.Sprintf("/dev/nvme0n1p%d", i+1), Path: path, FSType: "ext4", Size: r.Int64N(1e12)})
	}
	return out
}

func interfaces(r *rand.Rand, n int) []fleet.Interface {
	var out []fleet.Interface
	for i := range 3 {
		out = append(out, fleet.Interface{
			Name: fmt.Sprintf("eth%d", i), MAC: fmt.Sprintf("02:%02x:%02x:%02x:%02x:%02x", i, r.IntN(256), n>>16&255, n>>8&255, n&255), MTU: 1500, Up: true,
			Addresses: []string{fmt.Sprintf("10.%d.%d.%d/16", r.IntN(16), n>>8&255, n&255), fmt.Sprintf("2001:db8:%x:%x::%x/64", i, n>>8, n&255+1)},
		})
	}
	return out
}
