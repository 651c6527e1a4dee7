package peel

import (
	"github.com/rind-project/rind/internal/app/daemon"
	"github.com/rind-project/rind/internal/base/config"
	"github.com/rind-project/rind/internal/base/log"
	"github.com/rind-project/rind/internal/fleet/peel"
)

// Config is the file peel.yaml.
type Config struct {
	DataDir string      `yaml:"data_dir" path:"true" help:"folder of the peel's key and state"`
	Log     log.Options `yaml:"log"`
	Metrics struct {
		Listen string `yaml:"listen" help:"address of /metrics and /healthz; empty serves none"`
	} `yaml:"metrics"`
	peel.Config `yaml:",inline"`
}

// DefaultConfig returns the configuration of a peel that was told nothing.
func DefaultConfig() Config {
	return Config{DataDir: daemon.StateDir("rind-peel"), Log: log.Defaults(), Config: peel.DefaultConfig()}
}

// Validate says what is wrong and which key to change.
func (c *Config) Validate() error {
	if c.DataDir == "" {
		return config.Bad("data_dir", "a peel needs a folder to keep its key in")
	}
	return nil
}
