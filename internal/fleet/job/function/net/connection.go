package net

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet/job/function/local"
	"github.com/rind-project/rind/internal/fleet/job/function/schema"
)

// Connection is a socket.
type Connection struct {
	Protocol string `json:"protocol"` // "tcp", "udp"
	State    string `json:"state"`
	Local    string `json:"local"`
	Remote   string `json:"remote"`
	User     string `json:"user"`
	PID      int    `json:"pid,omitempty"`
	Program  string `json:"program,omitempty"`

	inode                 string
	localPort, remotePort uint16
}

// states are those of linux/tcp_states.h.
var states = map[string]string{
	"01": "established", "02": "syn_sent", "03": "syn_recv", "04": "fin_wait1", "05": "fin_wait2", "06": "time_wait",
	"07": "closed", "08": "close_wait", "09": "last_ack", "0A": "listen", "0B": "closing", "0C": "new_syn_recv",
}

// open is the state of a UDP socket without a peer.
const open = "open"

// maxDescriptors bounds the search for the processes that hold sockets.
const maxDescriptors = 1 << 19

func connections(s *local.System) schema.Run {
	return func(ctx context.Context, c schema.Call) (schema.Result, error) {
		state, port := strings.ToLower(c.Args.Text("state")), uint16(c.Args.Int("port"))
		if known := append(slices.Collect(maps.Values(states)), open); state != "" && !slices.Contains(known, state) {
			slices.Sort(known)
			return schema.Result{}, errs.New(errs.Invalid, "state is one of %s, not %s%s", strings.Join(known, ", "), schema.Clip(state), schema.DidYouMean(state, known))
		}
		names := s.Names()
		var all []Connection
		for _, p := range []string{"tcp", "udp"} {
			if want := c.Args.Text("protocol"); want != "" && want != p {
				continue
			}
			for _, version := range []string{"", "6"} {
				text, _ := s.Read("proc/net/" + p + version) // not there without IPv6
				all = append(all, parseSockets(text, p, names)...)
			}
		}
		all = slices.DeleteFunc(all, func(k Connection) bool {
			return state != "" && k.State != state || port != 0 && k.localPort != port && k.remotePort != port
		})
		res := schema.Result{}
		if limit := c.Args.Int("limit"); len(all) > limit {
			res.Failed = fmt.Sprintf("%d sockets are found; these are the first %d", len(all), limit)
			all = all[:limit]
		}
		if err := owners(ctx, s, all); err != nil {
			return schema.Result{}, err
		}
		res.Value = append([]Connection{}, all...)
		return res, nil
	}
}

// parseSockets reads /proc/net/tcp and its like, see proc_pid_net(5).
func parseSockets(text, protocol string, names local.Names) []Connection {
	var out []Connection
	for line := range strings.SplitSeq(text, "\n") {
		w := strings.Fields(line)
		if len(w) < 10 {
			continue
		}
		here, ok1 := endpoint(w[1])
		there, ok2 := endpoint(w[2])
		uid, err := strconv.ParseUint(w[7], 10, 32)
		if !ok1 || !ok2 || err != nil {
			continue
		}
		c := Connection{Protocol: protocol, State: states[w[3]], Local: here.String(), Remote: there.String(), User: names.User(uint32(uid)),
			inode: w[9], localPort: here.Port(), remotePort: there.Port()}
		if protocol == "udp" && w[3] == "07" {
			c.State = open
		}
		if there.Port() == 0 {
			c.Remote = "*"
		}
		out = append(out, c)
	}
	return out
}

// endpoint reads "0100007F:0035". An IPv6 address is four numbers of the
// processor.
func endpoint(text string) (netip.AddrPort, bool) {
	host, port, ok := strings.Cut(text, ":")
	n, err := strconv.ParseUint(port, 16, 16)
	if !ok || err != nil {
		return netip.AddrPort{}, false
	}
	switch len(host) {
	case 8:
		a, ok := address(host)
		return netip.AddrPortFrom(a, uint16(n)), ok
	case 32:
		var b [16]byte
		for i := range 4 {
			a, ok := address(host[8*i : 8*i+8])
			if !ok {
				return netip.AddrPort{}, false
			}
			part := a.As4()
			copy(b[4*i:], part[:])
		}
		return netip.AddrPortFrom(netip.AddrFrom16(b).Unmap(), uint16(n)), true
	}
	return netip.AddrPort{}, false
}

// owners looks for the processes that hold sockets, as far as they may be seen.
func owners(ctx context.Context, s *local.System, all []Connection) error {
	want := map[string][]int{}
	for i, c := range all {
		if c.inode != "0" {
			want["socket:["+c.inode+"]"] = append(want["socket:["+c.inode+"]"], i)
		}
	}
	pids, err := os.ReadDir(s.Path("proc"))
	if err != nil {
		return local.FileError("reading", "/proc", err)
	}
	looked := 0
	for _, p := range pids {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		pid, err := strconv.Atoi(p.Name())
		if err != nil || looked > maxDescriptors || len(want) == 0 {
			continue
		}
		dir := s.Path(filepath.Join("proc", p.Name(), "fd"))
		f, err := os.Open(dir)
		if err != nil {
			continue // another user's, or gone
		}
		fds, _ := f.Readdirnames(maxDescriptors) // what was read counts
		f.Close()
		looked += len(fds)
		for _, fd := range fds {
			link, _ := os.Readlink(filepath.Join(dir, fd)) // gone meanwhile
			for _, i := range want[link] {
				all[i].PID, all[i].Program = pid, s.Line(filepath.Join("proc", p.Name(), "comm"))
			}
			delete(want, link)
		}
	}
	return nil
}
