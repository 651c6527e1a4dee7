package pipeline

import (
	"slices"
	"strings"

	"github.com/rind-project/rind/internal/base/errs"
)

// Settings are what can be changed while a pipeline runs.
type Settings struct {
	Disabled []string // names of parsers that are switched off
}

// Parsers returns the names of all parsers, each once.
func Parsers() []string {
	tcp, udp := protocols()
	names := []string{}
	for _, list := range [][]protocol{tcp, udp} {
		for i := range list {
			names = append(names, list[i].name)
		}
	}
	for _, proto := range new(frames).protocols() {
		names = append(names, proto.name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Validate says which name is no parser's.
func (s Settings) Validate() error {
	known := Parsers()
	for _, name := range s.Disabled {
		if !slices.Contains(known, name) {
			return errs.New(errs.Invalid, "%q is no parser: choose from %s", name, strings.Join(known, ", "))
		}
	}
	return nil
}

// Configure changes the settings from the next report on. It may be called by
// any goroutine.
func (p *Pipeline) Configure(s Settings) { p.settings.Store(&s) }

// Prepare gives a pipeline its settings, and the folder for packets on which a
// parser panics, before its first packet.
func (p *Pipeline) Prepare(s Settings, q *Quarantine) {
	p.cfg.Quarantine = q
	p.Configure(s)
	p.apply()
}

// apply takes the settings over that were given since the last cut. A flow of
// a parser that is off now is given up with its next segment.
func (p *Pipeline) apply() {
	s := p.settings.Swap(nil)
	if s == nil {
		return
	}
	for i := range p.parsers {
		p.parsers[i].off = slices.Contains(s.Disabled, p.parsers[i].name)
	}
}
