package tap

import (
	"errors"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/rind-project/rind/internal/base/config"
	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/network/capture"
	"github.com/rind-project/rind/internal/network/capture/filter"
	"github.com/rind-project/rind/internal/network/packet"
)

const (
	minRing      = 8 << 20
	maxRing      = 4 << 30
	maxCPU       = 4095
	maxSnaplen   = 262_144
	maxInterface = 15 // bytes of an interface's name (IFNAMSIZ)
)

// Interface is one interface with what it has of its own; the rest is as in
// the section capture.
type Interface struct {
	Name        string       `yaml:"name" help:"the interface's name"`
	Filter      *string      `yaml:"filter" help:"packets to take, as tcpdump writes it"`
	Workers     *int         `yaml:"workers" help:"goroutines with a ring and a table each"`
	CPUs        []int        `yaml:"cpus" help:"CPUs that the workers are bound to"`
	RingBytes   *config.Size `yaml:"ring_bytes" help:"memory shared with the kernel, per worker"`
	Snaplen     *int         `yaml:"snaplen" help:"bytes taken of each packet; 0 takes all"`
	Promiscuous *bool        `yaml:"promiscuous" help:"also take packets that are not for this host"`
}

var _ config.Shorthand = (*Interface)(nil)

// Named returns interfaces that have nothing of their own.
func Named(names ...string) []Interface {
	all := make([]Interface, len(names))
	for i, name := range names {
		all[i].Name = name
	}
	return all
}

// SetShorthand implements config.Shorthand: the text is the name.
func (i *Interface) SetShorthand(text string) error {
	i.Name = text
	return nil
}

// Shorthand implements config.Shorthand.
func (i *Interface) Shorthand() (string, bool) {
	return i.Name, i.Filter == nil && i.Workers == nil && len(i.CPUs) == 0 && i.RingBytes == nil && i.Snaplen == nil && i.Promiscuous == nil
}

// InterfaceNames returns the names of the configured interfaces.
func (c *Config) InterfaceNames() []string {
	names := make([]string, len(c.Interfaces))
	for i := range c.Interfaces {
		names[i] = c.Interfaces[i].Name
	}
	return names
}

// Of returns how an interface is captured: its own settings, else the common ones.
func (c Capture) Of(i Interface) Capture {
	own(&c.Filter, i.Filter)
	own(&c.Workers, i.Workers)
	own(&c.RingBytes, i.RingBytes)
	own(&c.Snaplen, i.Snaplen)
	own(&c.Promiscuous, i.Promiscuous)
	if len(i.CPUs) > 0 {
		c.CPUs = i.CPUs
	}
	return c
}

func own[T any](into, value *T) {
	if value != nil {
		*into = *value
	}
}

// Live is the same for package capture.
func (c Capture) Live() capture.LiveConfig {
	return capture.LiveConfig{RingBytes: int64(c.RingBytes), Snaplen: c.Snaplen, Promiscuous: c.Promiscuous, Filter: c.Filter}
}

func (c *Config) validateCapture() error {
	if err := c.Capture.validate("capture"); err != nil {
		return err
	}
	var seen []string
	for n, i := range c.Interfaces {
		key := "interfaces[" + strconv.Itoa(n) + "]"
		switch {
		case i.Name == "" || len(i.Name) > maxInterface || strings.ContainsAny(i.Name, "/ \t\n\x00"):
			return config.Bad("interfaces", "%s.name is %q: want the name of an interface, such as eth0", key, i.Name)
		case slices.Contains(seen, i.Name):
			return config.Bad("interfaces", "%s: the interface %s is configured twice: remove one", key, i.Name)
		}
		seen = append(seen, i.Name)
		if err := c.Capture.Of(i).validate(key); err != nil {
			return config.Bad("interfaces", "%w", errors.Unwrap(err)) // without the key, which the text has
		}
	}
	return nil
}

// validate says which key below the given one to change.
func (c Capture) validate(key string) error {
	switch {
	case c.Workers < 1 || c.Workers > capture.MaxWorkers:
		return config.Bad(key+".workers", "%w", errs.New(errs.Invalid, "%s.workers is %d: choose between 1 and %d; this host has %d CPUs", key, c.Workers, capture.MaxWorkers, runtime.NumCPU()))
	case c.RingBytes < minRing || c.RingBytes > maxRing:
		return config.Bad(key+".ring_bytes", "%w", errs.New(errs.Invalid, "%s.ring_bytes is %s: choose between 8MiB and 4GiB", key, c.RingBytes))
	case c.Snaplen < 0 || c.Snaplen > maxSnaplen:
		return config.Bad(key+".snaplen", "%w", errs.New(errs.Invalid, "%s.snaplen is %d: choose between 0 and %d", key, c.Snaplen, maxSnaplen))
	}
	for _, cpu := range c.CPUs {
		if cpu < 0 || cpu > maxCPU {
			return config.Bad(key+".cpus", "%w", errs.New(errs.Invalid, "%s.cpus holds %d: CPUs are numbered from 0 to %d", key, cpu, maxCPU))
		}
	}
	// The interface's link type is known when it is opened; most are Ethernet,
	// and the mistakes that matter here are the same on all.
	if _, err := filter.Compile(c.Filter, filter.Options{Link: packet.LinkEthernet, Live: true}); err != nil {
		return config.Bad(key+".filter", "%w", errs.New(errs.Invalid, "%s.filter: %w", key, err))
	}
	return nil
}
