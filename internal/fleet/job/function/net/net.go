// Package net holds the functions about the network. Tables are read from
// /proc, so that nothing has to be installed.
package net

import (
	"context"
	"strconv"

	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/job/function/local"
	"github.com/rind-project/rind/internal/fleet/job/function/schema"
)

// Runs are the functions net.*.
func Runs(s *local.System) map[string]schema.Run {
	return map[string]schema.Run{
		"net.interfaces": interfaces(s), "net.connections": connections(s), "net.routes": routes(s), "net.ping": ping, "net.dns": dns,
	}
}

// Interface is an interface with its counters.
type Interface struct {
	fleet.Interface
	Received int64 `json:"received_bytes"`
	Sent     int64 `json:"sent_bytes"`
	Errors   int64 `json:"errors"`
	Dropped  int64 `json:"dropped"`
}

func interfaces(s *local.System) schema.Run {
	return func(ctx context.Context, c schema.Call) (schema.Result, error) {
		f, err := c.Host.Facts(ctx)
		if err != nil {
			return schema.Result{}, err
		}
		out := []Interface{}
		for _, i := range f.Interfaces {
			count := func(name string) int64 {
				n, _ := strconv.ParseInt(s.Line("sys/class/net/"+i.Name+"/statistics/"+name), 10, 64) // 0 where there is none
				return n
			}
			out = append(out, Interface{Interface: i, Received: count("rx_bytes"), Sent: count("tx_bytes"),
				Errors: count("rx_errors") + count("tx_errors"), Dropped: count("rx_dropped") + count("tx_dropped")})
		}
		return schema.Result{Value: out}, nil
	}
}
