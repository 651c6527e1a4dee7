package socket_test

import (
	"testing"

	"github.com/rind-project/rind/bench/fleet/socket"
	"github.com/rind-project/rind/internal/fleet/peel/peeltest"
)

func TestProtocol(t *testing.T) {
	t.Parallel()
	peeltest.Run(t, socket.New().Dial)
}
