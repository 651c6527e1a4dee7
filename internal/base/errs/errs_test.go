package errs

import (
	"errors"
	"fmt"
	"io"
	"testing"
)

func TestKindNames(t *testing.T) {
	t.Parallel()
	seen := map[string]Kind{}
	for k := Internal; int(k) < len(names); k++ {
		name := k.String()
		if other, taken := seen[name]; taken || name == "" {
			t.Errorf("kinds %d and %d are both called %q", other, k, name)
		}
		seen[name] = k
		if got := ParseKind(name); got != k {
			t.Errorf("%q: got %v, want %v", name, got, k)
		}
	}
	if got := Kind(200).String(); got != "internal" {
		t.Errorf("unknown kind: %q", got)
	}
	if got := ParseKind("nonsense"); got != Internal {
		t.Errorf("unknown name: %v", got)
	}
}

func TestNew(t *testing.T) {
	t.Parallel()
	err := New(NotFound, "reading %q: %w", "x", io.ErrUnexpectedEOF)
	if got, want := err.Error(), `reading "x": unexpected EOF`; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error("the cause is lost")
	}
	if errors.Unwrap(New(Invalid, "plain")) != nil {
		t.Error("a cause out of nowhere")
	}
}

func TestNewWithSeveralCauses(t *testing.T) {
	t.Parallel()
	err := New(Invalid, "%w and %w", io.EOF, io.ErrClosedPipe)
	if !errors.Is(err, io.EOF) || !errors.Is(err, io.ErrClosedPipe) {
		t.Error("a cause is lost")
	}
}

func TestKindOf(t *testing.T) {
	t.Parallel()
	inner := New(Gone, "used")
	tests := map[string]struct {
		err  error
		want Kind
		is   bool // whether the chain holds an Error at all
	}{
		"nil":             {nil, Internal, false},
		"another error":   {io.EOF, Internal, false},
		"itself":          {inner, Gone, true},
		"wrapped":         {fmt.Errorf("asking: %w", inner), Gone, true},
		"joined":          {errors.Join(io.EOF, inner), Gone, true},
		"the outer wins":  {New(Conflict, "asking: %w", inner), Conflict, true},
		"internal itself": {New(Internal, "broken"), Internal, true},
	}
	for name, test := range tests {
		if got := KindOf(test.err); got != test.want {
			t.Errorf("%s: got %v, want %v", name, got, test.want)
		}
		if got := Is(test.err, test.want); got != test.is {
			t.Errorf("%s: Is says %v", name, got)
		}
		if Is(test.err, RateLimited) {
			t.Errorf("%s: is of every kind", name)
		}
	}
}
