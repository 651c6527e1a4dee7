package tap

import (
	"slices"

	"github.com/rind-project/rind/internal/base/config"
	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/network/pipeline"
)

// Parsers says which parsers look into payloads.
type Parsers struct {
	Disabled []string `yaml:"disabled" help:"parsers that are switched off, by name"`
}

// Quarantine says where packets go on which a parser failed.
type Quarantine struct {
	Dir      string      `yaml:"dir" path:"true" help:"folder of packets on which a parser failed, each a capture file; empty keeps none"`
	MaxBytes config.Size `yaml:"max_bytes" help:"size at which no more packets are kept there"`
}

// validateParsers says which name is no parser's, or what is wrong with the
// quarantine.
func (c *Config) validateParsers() error {
	if err := (pipeline.Settings{Disabled: c.Parsers.Disabled}).Validate(); err != nil {
		return config.Bad("parsers.disabled", "%w", err)
	}
	if c.Quarantine.Dir != "" && c.Quarantine.MaxBytes < 1<<16 {
		return config.Bad("quarantine.max_bytes", "%w", errs.New(errs.Invalid, "quarantine.max_bytes is %d: choose 64KiB or more, or leave quarantine.dir empty", c.Quarantine.MaxBytes))
	}
	return nil
}

// open returns the folder, or nil.
func (q Quarantine) open() (*pipeline.Quarantine, error) {
	if q.Dir == "" {
		return nil, nil
	}
	return pipeline.OpenQuarantine(q.Dir, int64(q.MaxBytes))
}

// OnlyParsers says that the named parsers look into payloads and no others;
// "none" names none.
func OnlyParsers(names ...string) (Parsers, error) {
	if len(names) == 1 && names[0] == "none" {
		names = nil
	}
	if err := (pipeline.Settings{Disabled: names}).Validate(); err != nil {
		return Parsers{}, err
	}
	off := slices.DeleteFunc(pipeline.Parsers(), func(name string) bool { return slices.Contains(names, name) })
	return Parsers{Disabled: off}, nil
}
