package net

import (
	"context"
	"errors"
	"fmt"
	stdnet "net"
	"net/netip"
	"slices"
	"time"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet/job/function/schema"
)

// Limits of a question.
const (
	dnsTime    = 10 * time.Second
	maxAnswers = 1000
)

func dns(ctx context.Context, c schema.Call) (schema.Result, error) {
	ctx, cancel := context.WithTimeout(ctx, dnsTime)
	defer cancel()
	r := &stdnet.Resolver{PreferGo: true}
	if server := c.Args.Text("server"); server != "" {
		at, err := serverAddress(server)
		if err != nil {
			return schema.Result{}, err
		}
		r.Dial = func(ctx context.Context, network, _ string) (stdnet.Conn, error) {
			var d stdnet.Dialer
			return d.DialContext(ctx, network, at)
		}
	}
	name := c.Args.Text("name")
	answers, err := resolve(ctx, r, name, c.Args.Text("type"))
	if d, ok := errors.AsType[*stdnet.DNSError](err); ok {
		switch {
		case d.IsNotFound:
			err = errs.New(errs.NotFound, "%s has no record of the type %s", schema.Clip(name), c.Args.Text("type"))
		case d.IsTimeout:
			err = errs.New(errs.Unavailable, "no server answered for %s", schema.Clip(name))
		default:
			err = errs.New(errs.Unavailable, "resolving %s: %s", schema.Clip(name), d.Err)
		}
	}
	if err != nil {
		return schema.Result{}, err
	}
	slices.Sort(answers)
	return schema.Result{Value: answers[:min(len(answers), maxAnswers)]}, nil
}

func serverAddress(text string) (string, error) {
	if a, err := netip.ParseAddr(text); err == nil {
		return netip.AddrPortFrom(a, 53).String(), nil
	}
	a, err := netip.ParseAddrPort(text)
	if err != nil {
		return "", errs.New(errs.Invalid, "%s is no address of a server", schema.Clip(text))
	}
	return a.String(), nil
}

func resolve(ctx context.Context, r *stdnet.Resolver, name, kind string) ([]string, error) {
	out := []string{}
	switch kind {
	case "CNAME":
		s, err := r.LookupCNAME(ctx, name)
		return append(out, s), err
	case "TXT":
		return r.LookupTXT(ctx, name)
	case "PTR":
		return r.LookupAddr(ctx, name)
	case "MX":
		all, err := r.LookupMX(ctx, name)
		for _, m := range all {
			out = append(out, fmt.Sprintf("%d %s", m.Pref, m.Host))
		}
		return out, err
	case "NS":
		all, err := r.LookupNS(ctx, name)
		for _, n := range all {
			out = append(out, n.Host)
		}
		return out, err
	case "SRV":
		_, all, err := r.LookupSRV(ctx, "", "", name)
		for _, s := range all {
			out = append(out, fmt.Sprintf("%d %d %d %s", s.Priority, s.Weight, s.Port, s.Target))
		}
		return out, err
	}
	network := map[string]string{"A": "ip4", "AAAA": "ip6"}[kind]
	if network == "" {
		network = "ip"
	}
	all, err := r.LookupNetIP(ctx, network, name)
	for _, a := range all {
		out = append(out, a.Unmap().String())
	}
	return out, err
}
