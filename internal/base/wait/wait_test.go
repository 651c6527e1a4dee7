package wait_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rind-project/rind/internal/base/wait"
)

func TestFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		if !wait.For(t.Context(), time.Minute) || time.Since(began) != time.Minute {
			t.Errorf("it waited %s, want a minute", time.Since(began))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began = time.Now()
		if wait.For(ctx, time.Hour) || time.Since(began) != time.Second {
			t.Errorf("the context ended after a second, and it waited %s", time.Since(began))
		}
	})
}
