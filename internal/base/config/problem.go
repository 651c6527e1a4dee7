package config

import (
	"errors"
	"fmt"

	"github.com/rind-project/rind/internal/base/errs"
)

// maxProblems bounds how many mistakes are shown at once.
const maxProblems = 20

// problems collects mistakes.
type problems struct {
	list []error
	more int
}

func (p *problems) add(err error) {
	if len(p.list) < maxProblems {
		p.list = append(p.list, err)
		return
	}
	p.more++
}

func (p *problems) empty() bool { return len(p.list) == 0 }

// err joins the mistakes, one per line, or returns nil.
func (p *problems) err() error {
	if p.empty() {
		return nil
	}
	all := p.list
	if p.more > 0 {
		all = append(all, fmt.Errorf("… and %d more", p.more))
	}
	return errs.New(errs.Invalid, "%w", errors.Join(all...))
}

// badValue is an error about a key.
type badValue struct {
	key string
	err error
}

func (b *badValue) Error() string { return b.key + ": " + b.err.Error() }
func (b *badValue) Unwrap() error { return b.err }

// Bad makes an error for Validate about a key of the section that is validated:
// Bad("listen", "port %d is not allowed", 80).
func Bad(key, format string, args ...any) error {
	return &badValue{key: key, err: fmt.Errorf(format, args...)}
}

// validate calls the Validators of the sections and then that of the node.
func (l *loader) validate(n *node) {
	for _, c := range n.children {
		if c.section {
			l.validate(c)
		}
	}
	v, ok := n.value.Addr().Interface().(Validator)
	if !ok {
		return
	}
	for _, err := range split(v.Validate()) {
		l.problems.add(l.located(n, err))
	}
}

// split undoes errors.Join, also of what was joined before.
func split(err error) []error {
	if err == nil {
		return nil
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var all []error
	for _, err := range joined.Unwrap() {
		all = append(all, split(err)...)
	}
	return all
}

// located puts the place in front of a Validator's error.
func (l *loader) located(section *node, err error) error {
	bad, ok := errors.AsType[*badValue](err)
	if !ok {
		if section.key == "" {
			return err
		}
		return fmt.Errorf("%s: %w", section.key, err)
	}
	key := join(section.key, bad.key)
	origin, set := l.origins[key]
	if !set {
		origin = "default"
	}
	return fmt.Errorf("%s: the value of %q: %w", place(origin), key, bad.err)
}
