package fleet

import "time"

// Facts is what a peel says about its host. Everything in it comes from the
// host and is untrusted. Sizes are bytes. The JSON names are the keys of the
// target language and of facts.get: "os", "mem.total", "interfaces.0.mac".
type Facts struct {
	ID         PeelID      `json:"id"`
	Hostname   string      `json:"hostname"`
	FQDN       string      `json:"fqdn,omitempty"`
	MachineID  string      `json:"machine_id,omitempty"`
	OS         string      `json:"os"`                    // "Debian"
	OSFamily   string      `json:"os_family,omitempty"`   // "debian"
	OSVersion  string      `json:"os_version,omitempty"`  // "12"
	OSCodename string      `json:"os_codename,omitempty"` // "bookworm"
	OSPretty   string      `json:"os_pretty,omitempty"`   // "Debian GNU/Linux 12 (bookworm)"
	KernelName string      `json:"kernel_name"`           // "Linux"
	Kernel     string      `json:"kernel"`                // "6.1.0-28-amd64"
	Arch       string      `json:"arch"`                  // GOARCH's word: "amd64"
	CPU        CPU         `json:"cpu"`
	Mem        Mem         `json:"mem"`
	Disks      []Disk      `json:"disks,omitempty"`
	Mounts     []Mount     `json:"mounts,omitempty"`
	Interfaces []Interface `json:"interfaces,omitempty"`
	Virtual    string      `json:"virtual,omitempty"`     // "physical", "kvm", "docker" …
	PkgManager string      `json:"pkg_manager,omitempty"` // "apt", "dnf", "zypper", "apk", "pacman"
	Init       string      `json:"init,omitempty"`        // "systemd", "openrc", "sysv"
	BootTime   time.Time   `json:"boot_time,omitzero"`
	Peel       PeelVersion `json:"peel"`
}

// CPU describes the processors.
type CPU struct {
	Model string `json:"model,omitempty"`
	Count int    `json:"count"` // logical processors
}

// Mem is the memory in bytes.
type Mem struct {
	Total int64 `json:"total"`
	Swap  int64 `json:"swap"`
}

// Disk is a block device that is a disk.
type Disk struct {
	Name       string `json:"name"` // "sda"
	Size       int64  `json:"size"`
	Model      string `json:"model,omitempty"`
	Rotational bool   `json:"rotational"`
}

// Mount is a mounted file system on a device or a network share.
type Mount struct {
	Device string `json:"device"`
	Path   string `json:"path"`
	FSType string `json:"fs_type"`
	Size   int64  `json:"size"`
}

// Interface is a network interface with its addresses in CIDR form.
type Interface struct {
	Name      string   `json:"name"`
	MAC       string   `json:"mac,omitempty"` // lower case, with colons
	MTU       int      `json:"mtu"`
	Up        bool     `json:"up"`
	Addresses []string `json:"addresses,omitempty"` // "192.0.2.7/24", "fe80::1/64"
}

// PeelVersion describes the peel's binary.
type PeelVersion struct {
	Version string `json:"version"`
}
