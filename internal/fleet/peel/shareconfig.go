package peel

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rind-project/rind/internal/base/config"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/job/function/schema"
)

// minShare is the shortest interval: each round runs what finds the values.
const minShare = 10 * time.Second

// BasketConfig says what the peel shares with others.
type BasketConfig struct {
	Interval time.Duration `yaml:"interval" help:"how often the values are looked at; they are sent when they changed"`
	Items    []BasketItem  `yaml:"items" help:"the values: a name, and one of fact, function and command"`
}

// BasketItem is a value that the peel shares, from exactly one source.
type BasketItem struct {
	Name     string   `yaml:"name" help:"name under which it is shared"`
	Fact     string   `yaml:"fact" help:"key of a fact, such as fqdn"`
	Function string   `yaml:"function" help:"function that only reads, such as net.interfaces"`
	Args     []string `yaml:"args" help:"arguments of the function"`
	Command  string   `yaml:"command" help:"command line for /bin/sh, whose output is the value"`
}

// Validate says what is wrong with what is to be shared.
func (c *BasketConfig) Validate() error {
	if c.Interval < minShare && c.Interval != 0 {
		return config.Bad("interval", "%s is too short; use %s or more", c.Interval, minShare)
	}
	if len(c.Items) > fleet.MaxBasketNames {
		return config.Bad("items", "there are %d values, at most %d are shared", len(c.Items), fleet.MaxBasketNames)
	}
	seen := map[string]bool{}
	for i, item := range c.Items {
		if err := fleet.CheckBasketName(item.Name); err != nil {
			return config.Bad("items", "value %d: %w", i+1, err)
		}
		if seen[item.Name] {
			return config.Bad("items", "there are two values with the name %s", item.Name)
		}
		seen[item.Name] = true
		if err := item.check(); err != nil {
			return config.Bad("items", "value %d, %s: %w", i+1, item.Name, err)
		}
	}
	return nil
}

func (i BasketItem) check() error {
	sources := 0
	for _, s := range []string{i.Fact, i.Function, i.Command} {
		if s != "" {
			sources++
		}
	}
	switch {
	case sources != 1:
		return errors.New("name exactly one of fact, function and command")
	case i.Function == "" && len(i.Args) > 0:
		return errors.New("args are for a function")
	case i.Function == "":
		return nil
	}
	all := schema.All()
	at := slices.IndexFunc(all, func(f schema.Function) bool { return f.Name == i.Function })
	if at < 0 {
		names := make([]string, len(all))
		for n, f := range all {
			names[n] = f.Name
		}
		return fmt.Errorf("there is no function %s%s", schema.Clip(i.Function), schema.DidYouMean(i.Function, names))
	}
	if !all[at].ReadOnly {
		return fmt.Errorf("%s does not only read; a value comes from a function that does, or from a command", i.Function)
	}
	_, err := all[at].Decode(i.Args)
	return err
}
