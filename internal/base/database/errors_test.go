package database_test

import (
	"fmt"
	"testing"

	"github.com/rind-project/rind/internal/base/database"
)

// answer is an error as PostgreSQL gives it.
type answer struct{ state, text string }

func (a answer) Error() string    { return a.text + " (SQLSTATE " + a.state + ")" }
func (a answer) SQLState() string { return a.state }

func TestTransient(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		answer
		want bool
	}{
		{answer{"40001", "could not serialize access"}, true},
		{answer{"40P01", "deadlock detected"}, true},
		{answer{"23514", `new row for relation "flows_rest" violates partition constraint`}, true},
		{answer{"23514", `new row for relation "flows" violates check constraint "positive"`}, false},
		{answer{"23505", "duplicate key value"}, false},
		{answer{"25006", "cannot execute INSERT in a read-only transaction"}, false},
	} {
		if got := database.IsTransient(fmt.Errorf("appending: %w", tc.answer)); got != tc.want {
			t.Errorf("%v is transient: %v", tc.answer, got)
		}
	}
}
