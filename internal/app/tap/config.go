package tap

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/rind-project/rind/internal/app/daemon"
	"github.com/rind-project/rind/internal/base/disk"
	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/base/log"
	"github.com/rind-project/rind/internal/network/tap"
)

// Config is the file tap.yaml.
type Config struct {
	Log        log.Options `yaml:"log"`
	User       string      `yaml:"user" help:"unprivileged user that the parsing process becomes when started as root; empty tries rind-tap, then nobody"`
	tap.Config `yaml:",inline"`
}

// DefaultConfig returns the configuration of a tap that was told nothing.
func DefaultConfig() Config {
	c := Config{Log: log.Defaults(), Config: tap.DefaultConfig()}
	c.DataDir = daemon.StateDir("rind-tap")
	return c
}

// Validate says what is wrong and which key to change.
func (c *Config) Validate() error { return c.Config.Validate() }

// joined is what `rind-tap join` keeps: the file join.json in the data folder.
// The configuration wins where it says something else.
type joined struct {
	URLs  []string `json:"urls"`
	Pin   string   `json:"pin,omitempty"`
	CA    string   `json:"ca_file,omitempty"`
	Token string   `json:"token"`
}

func joinFile(dir string) string { return filepath.Join(dir, "join.json") }

// save writes the file so that a crash leaves the old or the new one.
func (j joined) save(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("making the data folder: %w; choose another with --data", err)
	}
	data, err := json.MarshalIndent(j, "", "  ")
	if err != nil {
		return err
	}
	if err := disk.WriteFile(joinFile(dir), append(data, '\n')); err != nil {
		return fmt.Errorf("keeping the token: %w; choose another folder with --data", err)
	}
	// A tap that runs reads it as the folder's owner.
	if info, err := os.Stat(dir); err == nil && os.Geteuid() == 0 {
		if own, ok := info.Sys().(*syscall.Stat_t); ok {
			return os.Lchown(joinFile(dir), int(own.Uid), int(own.Gid))
		}
	}
	return nil
}

// complete fills what the configuration leaves open from join.json.
func (c *Config) complete() error {
	data, err := os.ReadFile(joinFile(c.DataDir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading what `rind-tap join` kept: %w", err)
	}
	var j joined
	if err := json.Unmarshal(data, &j); err != nil {
		return errs.New(errs.Invalid, "%s is damaged (%v): run the join command of this tap again", joinFile(c.DataDir), err)
	}
	if len(c.Node.URLs) == 0 {
		c.Node.URLs = j.URLs
	}
	if c.Node.Pin == "" {
		c.Node.Pin = j.Pin
	}
	if c.Node.CAFile == "" {
		c.Node.CAFile = j.CA
	}
	if c.Node.Token == "" && c.Node.TokenFile == "" {
		c.Node.Token = j.Token
	}
	return nil
}
