package disk

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rind-project/rind/internal/fleet/job/function/local"
	"github.com/rind-project/rind/internal/fleet/job/function/localtest"
)

const mountinfo = `22 1 259:2 / / rw,relatime shared:1 - ext4 /dev/nvme0n1p2 rw
23 22 0:21 / /proc rw,nosuid - proc proc rw
24 22 0:25 / /run rw - tmpfs tmpfs rw,size=1626348k
25 22 259:1 / /boot/efi rw - vfat /dev/nvme0n1p1 rw
26 22 259:2 /var/x /mnt/again rw - ext4 /dev/nvme0n1p2 rw
27 22 0:50 / /mnt/share\040one rw - nfs4 server:/export rw
28 22 7:0 / /snap/x ro - squashfs /dev/loop0 ro
29 22 0:60 / /mnt/over rw - ext4 /dev/sdb1 rw
30 29 0:61 / /mnt/over rw - xfs /dev/sdc1 rw
torn line
`

func TestMounts(t *testing.T) {
	t.Parallel()
	all := parse(mountinfo)
	var got []string
	for _, m := range worthwhile(all) {
		got = append(got, m.Path+"="+m.Device)
	}
	if want := "/=/dev/nvme0n1p2 /run=tmpfs /boot/efi=/dev/nvme0n1p1 /mnt/over=/dev/sdc1"; strings.Join(got, " ") != want {
		t.Errorf("got %q", got)
	}
	for path, want := range map[string]string{"/": "/", "/boot/efi/x": "/boot/efi", "/boot/efix": "/", "/run/../mnt/over": "/mnt/over"} {
		if m, err := holding(all, path); err != nil || m.Path != want {
			t.Errorf("%s: %+v, %v", path, m, err)
		}
	}
	if _, err := holding(all, "/mnt/share one/x"); err == nil || !strings.Contains(err.Error(), "network share") {
		t.Errorf("got %v", err)
	}
	if _, err := holding(all, "x"); err == nil {
		t.Error("a relative path was taken")
	}
}

func TestFill(t *testing.T) {
	t.Parallel()
	var m Usage
	m.fill(1000, 300, 250, 4096, 100, 90) // 50 blocks are root's
	if m.Size != 4096000 || m.Used != 2867200 || m.Available != 1024000 || m.Percent != 74 || m.Inodes != 10 {
		t.Errorf("%+v", m)
	}
	m = Usage{}
	m.fill(0, 0, 0, 4096, 0, 0)
	m.fill(10, 20, 0, 4096, 1, 5) // what cannot be does no harm
	if m.Used != 0 || m.Inodes != 0 {
		t.Errorf("%+v", m)
	}
}

func TestThisHost(t *testing.T) {
	t.Parallel()
	res, err := localtest.Do(t, Runs(local.Host()), nil, "disk.usage", t.TempDir())
	all := res.Value.([]Usage)
	if err != nil || len(all) != 1 || all[0].Size == 0 || all[0].Used+all[0].Available > all[0].Size {
		t.Errorf("%+v, %v", all, err)
	}
}

// A path that is not there is not answered with the file system that it would
// be on.
func TestPathThatIsNotThere(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/proc/self/no", filepath.Join(dir, "away")); err != nil {
		t.Fatal(err)
	}
	for path, there := range map[string]bool{"/m": true, "/m/file": true, "/m/./file": true, "/m/away": true, "/m/none": false, "/m/file/x": false} {
		if err := present(dir, "/m", path); (err == nil) != there {
			t.Errorf("%s: %v", path, err)
		}
	}
}
