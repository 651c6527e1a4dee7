package guard

import (
	"time"

	"github.com/rind-project/rind/internal/base/config"
)

// Limits say how much a peel may send. An honest one never comes near: it
// answers jobs that somebody asked for, a few at a time, and its longest
// return, 16 MB in parts, is a third of what a second allows.
type Limits struct {
	Messages int           `yaml:"messages" help:"messages per second that a peel may send; what is above is dropped"`
	Bytes    config.Size   `yaml:"bytes" help:"bytes per second that a peel may send; what is above is dropped"`
	Seconds  int           `yaml:"seconds" help:"a peel that is above for so many seconds without a pause is cut off"`
	CutOff   time.Duration `yaml:"cut_off" help:"how long a peel that was cut off stays so"`
}

// DefaultLimits returns the defaults.
func DefaultLimits() Limits {
	return Limits{Messages: 1000, Bytes: 64 * config.MiB, Seconds: 10, CutOff: 15 * time.Minute}
}

func (c *Limits) fill() {
	d := DefaultLimits()
	setDefault(&c.Messages, d.Messages)
	setDefault(&c.Bytes, d.Bytes)
	setDefault(&c.Seconds, d.Seconds)
	setDefault(&c.CutOff, d.CutOff)
}

func setDefault[T ~int | ~int64](v *T, def T) {
	if *v <= 0 {
		*v = def
	}
}

// Validate reports the first value that cannot be.
func (c Limits) Validate() error {
	switch {
	case c.Messages < 0 || c.Messages > 0 && c.Messages < 100:
		return config.Bad("messages", "%d a second is too little: an honest peel may need 100", c.Messages)
	case c.Bytes < 0 || c.Bytes > 0 && c.Bytes < 8*config.MiB:
		return config.Bad("bytes", "%d bytes a second are too few: an honest peel's return may need 8MiB", int64(c.Bytes))
	case c.Seconds < 0 || c.Seconds > 3600:
		return config.Bad("seconds", "%d is not from 1 to 3600", c.Seconds)
	case c.CutOff < 0 || c.CutOff > 0 && c.CutOff < time.Second || c.CutOff > 30*24*time.Hour:
		return config.Bad("cut_off", "%s is not from 1s to 720h", c.CutOff)
	}
	return nil
}
