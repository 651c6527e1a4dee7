// Package facts finds out what a host is: from /proc, /sys and /etc, without
// running anything. What is read may be written by anybody on the host, so
// every file, list and string has a limit, and strings are valid UTF-8.
package facts

import (
	"context"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/rind-project/rind/internal/fleet"
)

// Limits of what is collected.
const (
	MaxFile   = 1 << 20 // bytes read of one file
	MaxList   = 512     // mounts, interfaces, disks, addresses of an interface
	MaxString = 1 << 10
)

// Collect reads the facts of the host below root; "" is this host. Below
// another root sizes of file systems are not known, and addresses come from
// /proc/net instead of the kernel itself. The id and the peel's version are
// left to the caller. What cannot be read is left out; the error is only the
// context's.
func Collect(ctx context.Context, root string) (fleet.Facts, error) {
	t := tree{root: root}
	f := fleet.Facts{
		Hostname:   t.line("proc/sys/kernel/hostname"),
		MachineID:  t.line("etc/machine-id"),
		KernelName: t.line("proc/sys/kernel/ostype"),
		Kernel:     t.line("proc/sys/kernel/osrelease"),
		Arch:       runtime.GOARCH,
	}
	f.FQDN = t.fqdn(f.Hostname)
	t.osRelease(&f)
	f.CPU = t.cpu()
	f.Mem = t.memory()
	f.BootTime = t.bootTime()
	f.Disks = t.disks()
	f.Mounts = t.mounts()
	f.Interfaces = t.interfaces()
	f.Virtual = t.virtual()
	f.PkgManager = t.pkgManager()
	f.Init = t.init()
	if err := ctx.Err(); err != nil {
		return fleet.Facts{}, fmt.Errorf("collecting facts: %w", err)
	}
	return f, nil
}

// cpu counts the processors of /proc/cpuinfo. Not every architecture names a
// model there.
func (t tree) cpu() fleet.CPU {
	var c fleet.CPU
	for line := range strings.SplitSeq(t.read("proc/cpuinfo"), "\n") {
		key, value, _ := strings.Cut(line, ":")
		switch strings.TrimSpace(key) {
		case "processor":
			c.Count++
		case "model name", "Model", "cpu":
			if c.Model == "" {
				c.Model = clean(strings.Join(strings.Fields(value), " "))
			}
		}
	}
	if c.Count == 0 && t.root == "" {
		c.Count = runtime.NumCPU()
	}
	return c
}

func (t tree) memory() fleet.Mem {
	var m fleet.Mem
	for line := range strings.SplitSeq(t.read("proc/meminfo"), "\n") {
		w := strings.Fields(line)
		if len(w) < 2 {
			continue
		}
		switch w[0] {
		case "MemTotal:":
			m.Total = number(w[1]) * 1024
		case "SwapTotal:":
			m.Swap = number(w[1]) * 1024
		}
	}
	return m
}

func (t tree) bootTime() time.Time {
	for line := range strings.SplitSeq(t.read("proc/stat"), "\n") {
		if s, ok := strings.CutPrefix(line, "btime "); ok {
			if n := number(strings.TrimSpace(s)); n > 0 {
				return time.Unix(n, 0).UTC()
			}
		}
	}
	return time.Time{}
}

// fqdn is the first name with a dot on the line of /etc/hosts that has the
// host name.
func (t tree) fqdn(host string) string {
	if host == "" || strings.Contains(host, ".") {
		return host
	}
	for line := range strings.SplitSeq(t.read("etc/hosts"), "\n") {
		line, _, _ = strings.Cut(line, "#")
		w := strings.Fields(line)
		if len(w) < 2 {
			continue
		}
		full, has := "", false
		for _, name := range w[1:] {
			has = has || strings.EqualFold(name, host)
			if full == "" && strings.HasPrefix(strings.ToLower(name), strings.ToLower(host)+".") {
				full = name
			}
		}
		if full != "" && (has || len(w) == 2) {
			return clean(full)
		}
	}
	return ""
}

func number(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return n
}
