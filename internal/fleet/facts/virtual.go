package facts

import "strings"

// virtual says what the host runs in: a container's engine first, since a
// container sees the machine's hardware too.
func (t tree) virtual() string {
	if c := t.container(); c != "" {
		return c
	}
	if hv := t.hypervisor(); hv != "" {
		return hv
	}
	if t.read("proc/cpuinfo") == "" {
		return ""
	}
	return "physical"
}

// container goes by the marks that engines leave.
func (t tree) container() string {
	if s := t.line("run/systemd/container"); s != "" {
		return s
	}
	for v := range strings.SplitSeq(t.read("proc/1/environ"), "\x00") {
		if name, ok := strings.CutPrefix(v, "container="); ok && name != "" {
			return clean(name)
		}
	}
	switch {
	case t.exists(".dockerenv"):
		return "docker"
	case t.exists("run/.containerenv"):
		return "podman"
	}
	cgroup := t.read("proc/1/cgroup")
	for _, c := range []struct{ mark, name string }{
		{"/kubepods", "kubernetes"}, {"/docker", "docker"}, {"/lxc", "lxc"}, {"/machine.slice/libpod", "podman"},
	} {
		if strings.Contains(cgroup, c.mark) {
			return c.name
		}
	}
	return ""
}

// hypervisor goes by the names that firmware gives, and at last by the flag
// that every hypervisor sets in the processor's features.
func (t tree) hypervisor() string {
	if t.line("sys/hypervisor/type") == "xen" {
		return "xen"
	}
	dmi := ""
	for _, file := range []string{"sys_vendor", "product_name", "board_vendor", "bios_vendor"} {
		dmi += t.line("sys/class/dmi/id/"+file) + "\n"
	}
	for _, h := range []struct{ mark, name string }{
		{"Amazon EC2", "amazon"}, {"Google Compute Engine", "google"}, {"KVM", "kvm"}, {"OpenStack", "kvm"}, {"QEMU", "kvm"},
		{"VMware", "vmware"}, {"innotek GmbH", "virtualbox"}, {"VirtualBox", "virtualbox"}, {"Xen", "xen"}, {"Parallels", "parallels"},
		{"BHYVE", "bhyve"}, {"Apple Virtualization", "apple"}, {"Firecracker", "firecracker"},
	} {
		// Amazon's bare-metal hosts say so in the product's name.
		if strings.Contains(dmi, h.mark) && !strings.Contains(dmi, ".metal") {
			return h.name
		}
	}
	if strings.Contains(dmi, "Microsoft Corporation") && strings.Contains(dmi, "Virtual Machine") {
		return "hyperv"
	}
	for line := range strings.SplitSeq(t.read("proc/cpuinfo"), "\n") {
		key, value, _ := strings.Cut(line, ":")
		if strings.TrimSpace(key) == "flags" {
			if strings.Contains(" "+value+" ", " hypervisor ") {
				return "vm"
			}
			break
		}
	}
	return ""
}
