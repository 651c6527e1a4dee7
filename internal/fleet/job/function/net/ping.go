package net

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	stdnet "net"
	"net/netip"
	"os"
	"time"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/base/wait"
	"github.com/rind-project/rind/internal/fleet/job/function/schema"
)

// Ping is the value of net.ping. Times are in milliseconds.
type Ping struct {
	Address  string  `json:"address"`
	Sent     int     `json:"sent"`
	Received int     `json:"received"`
	Loss     int     `json:"loss_percent"`
	Min      float64 `json:"min_ms,omitempty"`
	Avg      float64 `json:"avg_ms,omitempty"`
	Max      float64 `json:"max_ms,omitempty"`
}

func ping(ctx context.Context, c schema.Call) (schema.Result, error) {
	var r stdnet.Resolver
	addrs, err := r.LookupNetIP(ctx, "ip", c.Args.Text("host"))
	if err != nil || len(addrs) == 0 {
		return schema.Result{}, errs.New(errs.NotFound, "%s has no address", schema.Clip(c.Args.Text("host")))
	}
	p, err := listen(addrs[0].Unmap())
	if err != nil {
		return schema.Result{}, err
	}
	defer p.conn.Close()
	stop := context.AfterFunc(ctx, func() { p.conn.Close() })
	defer stop()
	out := Ping{Address: p.to.String()}
	interval := max(c.Args.Duration("interval"), 100*time.Millisecond)
	var sum float64
	for n := range c.Args.Int("count") {
		if n > 0 && !wait.For(ctx, interval) {
			break
		}
		took, ok, err := p.once(n, min(c.Args.Duration("wait"), time.Minute))
		if ctx.Err() != nil {
			break
		}
		if err != nil {
			return schema.Result{}, errs.New(errs.Unavailable, "asking %s: %w", p.to, err)
		}
		out.Sent++
		if !ok {
			continue
		}
		ms := float64(took.Microseconds()) / 1000
		if out.Received++; out.Received == 1 {
			out.Min = ms
		}
		sum, out.Min, out.Max = sum+ms, min(out.Min, ms), max(out.Max, ms)
	}
	if ctx.Err() != nil {
		return schema.Result{}, context.Cause(ctx)
	}
	if out.Received > 0 {
		out.Avg = float64(int(1000*sum/float64(out.Received))) / 1000
	}
	out.Loss = 100 * (out.Sent - out.Received) / max(1, out.Sent)
	res := schema.Result{Value: out}
	if out.Received == 0 {
		res.Failed = fmt.Sprintf("%s did not answer", p.to)
	}
	return res, nil
}

// pinger is a socket for echo requests (RFC 792, RFC 4443 section 4).
type pinger struct {
	conn     *icmp.PacketConn
	to       netip.Addr
	dst      stdnet.Addr
	request  icmp.Type
	reply    icmp.Type
	protocol int
	id       int
	mark     [16]byte // tells our answers from those to others
}

// listen opens a socket that needs no right, where the kernel gives one
// (net.ipv4.ping_group_range), or a raw one.
func listen(to netip.Addr) (*pinger, error) {
	p := &pinger{to: to, request: ipv4.ICMPTypeEcho, reply: ipv4.ICMPTypeEchoReply, protocol: 1, id: os.Getpid() & 0xffff}
	networks, any := [2]string{"udp4", "ip4:icmp"}, "0.0.0.0"
	if to.Is6() {
		p.request, p.reply, p.protocol = ipv6.ICMPTypeEchoRequest, ipv6.ICMPTypeEchoReply, 58
		networks, any = [2]string{"udp6", "ip6:ipv6-icmp"}, "::"
	}
	if _, err := rand.Read(p.mark[:]); err != nil {
		return nil, err
	}
	var err error
	if p.conn, err = icmp.ListenPacket(networks[0], any); err == nil {
		p.dst = &stdnet.UDPAddr{IP: to.AsSlice(), Zone: to.Zone()}
		return p, nil
	}
	conn, rawErr := icmp.ListenPacket(networks[1], any)
	if rawErr != nil {
		return nil, errs.New(errs.Forbidden, "no socket for ICMP is to be had: %w", errors.Join(err, rawErr))
	}
	p.conn, p.dst = conn, &stdnet.IPAddr{IP: to.AsSlice(), Zone: to.Zone()}
	return p, nil
}

// once sends a request and waits for its answer.
func (p *pinger) once(n int, wait time.Duration) (time.Duration, bool, error) {
	msg := icmp.Message{Type: p.request, Body: &icmp.Echo{ID: p.id, Seq: n, Data: p.mark[:]}}
	b, err := msg.Marshal(nil)
	if err != nil {
		return 0, false, err
	}
	began := time.Now()
	if err := p.conn.SetReadDeadline(began.Add(wait)); err != nil {
		return 0, false, err
	}
	if _, err := p.conn.WriteTo(b, p.dst); err != nil {
		return 0, false, err
	}
	buf := make([]byte, 1500)
	for {
		size, _, err := p.conn.ReadFrom(buf)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return 0, false, nil
		}
		if err != nil {
			return 0, false, err
		}
		m, err := icmp.ParseMessage(p.protocol, buf[:size])
		if err != nil || m.Type != p.reply {
			continue
		}
		if e, ok := m.Body.(*icmp.Echo); ok && e.Seq == n && string(e.Data) == string(p.mark[:]) {
			return time.Since(began), true, nil
		}
	}
}
