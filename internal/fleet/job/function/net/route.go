package net

import (
	"context"
	"encoding/hex"
	"math/bits"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/rind-project/rind/internal/fleet/job/function/local"
	"github.com/rind-project/rind/internal/fleet/job/function/schema"
)

// Route is a route. Gateway is "" on a link.
type Route struct {
	Destination string `json:"destination"` // "default" for everything
	Gateway     string `json:"gateway"`
	Interface   string `json:"interface"`
	Metric      uint32 `json:"metric"`
}

// Flags of a route, as linux/route.h has them.
const (
	routeUp    = 0x1
	routeLocal = 0x80000000
)

func routes(s *local.System) schema.Run {
	return func(context.Context, schema.Call) (schema.Result, error) {
		four, err := s.Read("proc/net/route")
		if err != nil {
			return schema.Result{}, err
		}
		six, _ := s.Read("proc/net/ipv6_route") // not there without IPv6
		all := append(parseRoutes(four), parseRoutes6(six)...)
		return schema.Result{Value: append([]Route{}, all[:min(len(all), local.MaxRows)]...)}, nil
	}
}

// parseRoutes reads /proc/net/route, whose addresses are in the order of the
// processor: little endian wherever Rind runs.
func parseRoutes(text string) []Route {
	var out []Route
	for line := range strings.SplitSeq(text, "\n") {
		w := strings.Fields(line)
		if len(w) < 8 {
			continue
		}
		flags, err := strconv.ParseUint(w[3], 16, 32)
		dst, ok1 := address(w[1])
		gw, ok2 := address(w[2])
		mask, err2 := strconv.ParseUint(w[7], 16, 32)
		metric, err3 := strconv.ParseUint(w[6], 10, 32)
		if err != nil || err2 != nil || err3 != nil || !ok1 || !ok2 || flags&routeUp == 0 {
			continue
		}
		out = append(out, route(netip.PrefixFrom(dst, bits.OnesCount32(uint32(mask))), gw, w[0], uint32(metric)))
	}
	return out
}

// parseRoutes6 reads /proc/net/ipv6_route: destination and its length, source
// and its length, next hop, metric, two counters, flags, interface; all in hex.
func parseRoutes6(text string) []Route {
	var out []Route
	for line := range strings.SplitSeq(text, "\n") {
		w := strings.Fields(line)
		if len(w) < 10 || w[9] == "lo" {
			continue
		}
		dst, ok1 := address(w[0])
		gw, ok2 := address(w[4])
		length, err := strconv.ParseUint(w[1], 16, 8)
		metric, err2 := strconv.ParseUint(w[5], 16, 32)
		flags, err3 := strconv.ParseUint(w[8], 16, 32)
		if err != nil || err2 != nil || err3 != nil || !ok1 || !ok2 || length > 128 || flags&routeUp == 0 || flags&routeLocal != 0 {
			continue
		}
		out = append(out, route(netip.PrefixFrom(dst, int(length)), gw, w[9], uint32(metric)))
	}
	return out
}

func route(dst netip.Prefix, gw netip.Addr, iface string, metric uint32) Route {
	r := Route{Destination: dst.String(), Interface: local.Clean(iface), Metric: metric}
	if dst.Bits() == 0 {
		r.Destination = "default"
	}
	if !gw.IsUnspecified() {
		r.Gateway = gw.String()
	}
	return r
}

// address reads an address of /proc: IPv4 as one number of the processor, IPv6
// of /proc/net/ipv6_route as it goes over the wire.
func address(text string) (netip.Addr, bool) {
	b, err := hex.DecodeString(text)
	if err != nil {
		return netip.Addr{}, false
	}
	if len(b) == 4 {
		slices.Reverse(b)
	}
	return netip.AddrFromSlice(b)
}
