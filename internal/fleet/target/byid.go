package target

import "github.com/rind-project/rind/internal/base/errs"

// ByID returns an error unless a peel's id alone decides whether it is meant.
// The scope of a delegated key has to be such: a peel checks it where nothing
// but its id is proven.
func (e *Expr) ByID() error {
	var err error
	e.terms(func(t *term) {
		if err != nil {
			return
		}
		switch t.test.(type) {
		case *idGlob, *idList, *idRegexp:
		default:
			err = errs.New(errs.Invalid, "%q at column %d needs more than the peel's id; only globs, lists (L@) and regular expressions (E@) of ids can stand here", t.text, t.column)
		}
	})
	if err != nil {
		return err
	}
	return groupless(e.root)
}

// groupless returns an error when a named group is part of the expression:
// what it means is the masters' to say, and may change.
func groupless(n node) error {
	switch n := n.(type) {
	case *and:
		return firstGroup(n.parts)
	case *or:
		return firstGroup(n.parts)
	case *not:
		return groupless(n.part)
	case *group:
		return errs.New(errs.Invalid, "the named group N@%s at column %d cannot stand here: only globs, lists (L@) and regular expressions (E@) of ids can", n.name, n.column)
	}
	return nil
}

func firstGroup(parts []node) error {
	for _, p := range parts {
		if err := groupless(p); err != nil {
			return err
		}
	}
	return nil
}
