package facts

import (
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/rind-project/rind/internal/fleet"
)

// disks are the block devices with hardware, real or virtual, behind them;
// that leaves out loops, RAM disks, and what the device mapper makes.
func (t tree) disks() []fleet.Disk {
	var out []fleet.Disk
	for _, name := range t.list("sys/block") {
		dir := "sys/block/" + name + "/"
		if !t.exists(dir+"device") || strings.HasPrefix(name, "sr") || strings.HasPrefix(name, "fd") {
			continue
		}
		out = append(out, fleet.Disk{
			Name:       clean(name),
			Size:       number(t.line(dir+"size")) * 512,
			Model:      t.line(dir + "device/model"),
			Rotational: t.line(dir+"queue/rotational") == "1",
		})
	}
	return out
}

// shares are the file systems that a network is behind.
var shares = map[string]bool{
	"nfs": true, "nfs4": true, "cifs": true, "smb3": true, "9p": true, "ceph": true, "glusterfs": true, "fuse.glusterfs": true,
	"fuse.sshfs": true, "fuse.s3fs": true, "lustre": true, "beegfs": true, "afs": true, "ocfs2": true, "gfs2": true, "virtiofs": true,
}

// mounts are the file systems on a device or a network share. A device that is
// mounted again elsewhere, as the files of a container are, is listed once.
func (t tree) mounts() []fleet.Mount {
	var out []fleet.Mount
	seen := map[string]bool{}
	for line := range strings.SplitSeq(t.read("proc/self/mountinfo"), "\n") {
		m, ok := parseMount(line)
		if !ok || seen[m.Device] || len(out) == MaxList || t.isFile(m) {
			continue
		}
		seen[m.Device] = true
		// A share whose server is gone would hold the question for ever.
		if t.root == "" && !shares[m.FSType] && !strings.HasPrefix(m.FSType, "fuse") {
			var fs unix.Statfs_t
			if unix.Statfs(m.Path, &fs) == nil {
				m.Size = int64(fs.Blocks) * int64(fs.Bsize) //nolint:unconvert // 32 bits on other architectures
			}
		}
		m.Device, m.Path, m.FSType = clean(m.Device), clean(m.Path), clean(m.FSType)
		out = append(out, m)
	}
	return out
}

// isFile reports whether the mount is a single file, as engines mount
// /etc/hosts into a container. A share is not asked: its server may be gone.
func (t tree) isFile(m fleet.Mount) bool {
	if shares[m.FSType] || strings.HasPrefix(m.FSType, "fuse") {
		return false
	}
	info, err := os.Stat(t.path(m.Path))
	return err == nil && !info.IsDir()
}

// parseMount reads a line of proc_pid_mountinfo(5): six fields, optional ones,
// a dash, then type, source and options.
func parseMount(line string) (fleet.Mount, bool) {
	head, tail, ok := strings.Cut(line, " - ")
	h, s := strings.Fields(head), strings.Fields(tail)
	if !ok || len(h) < 6 || len(s) < 2 {
		return fleet.Mount{}, false
	}
	m := fleet.Mount{Device: unescape(s[1]), Path: unescape(h[4]), FSType: s[0]}
	switch {
	case m.FSType == "squashfs", m.FSType == "iso9660", m.FSType == "devtmpfs":
		return m, false
	case shares[m.FSType], m.FSType == "zfs", strings.HasPrefix(m.Device, "/dev/"):
		return m, true
	}
	return m, false
}

// unescape undoes the octal escapes of blanks, tabs, newlines and backslashes.
func unescape(s string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(s)
}
