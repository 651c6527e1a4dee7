package natsd

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// companionFor bounds the life of a companion.
const companionFor = time.Minute

// accompany lets the first server of a cluster begin while it is the only one:
// nats-server elects nobody before a second server is connected, whatever the
// size of the cluster. So one is started in this process that keeps nothing,
// is told to nobody, and ends when there is a leader.
func (s *Server) accompany(ctx context.Context, opts *server.Options) error {
	if !s.cfg.founds() {
		return nil
	}
	own := opts.Cluster
	accounts := &server.MemAccResolver{}
	for _, key := range []string{public(s.keys.System), public(s.keys.Account)} {
		token, err := s.resolver.LoadAcc(key)
		if err != nil {
			return fmt.Errorf("beginning the cluster: %w", err)
		}
		if err := accounts.Store(key, token); err != nil {
			return fmt.Errorf("beginning the cluster: %w", err)
		}
	}
	companion, err := server.NewServer(&server.Options{
		ServerName: opts.ServerName + "-companion", NoSigs: true, NoLog: true,
		Host: "127.0.0.1", Port: server.RANDOM_PORT, TLS: true, TLSConfig: opts.TLSConfig, // its routes wait for it
		TrustedOperators: opts.TrustedOperators, SystemAccount: opts.SystemAccount, AccountResolver: accounts,
		Cluster: server.ClusterOpts{
			Name: own.Name, Host: "127.0.0.1", Port: server.RANDOM_PORT, NoAdvertise: true,
			TLSConfig: own.TLSConfig, TLSTimeout: own.TLSTimeout, AuthTimeout: own.AuthTimeout, PoolSize: own.PoolSize,
		},
		Routes: []*url.URL{{Scheme: "tls", Host: reachable(own.Host, own.Port)}},
	})
	if err != nil {
		return fmt.Errorf("beginning the cluster: %w", err)
	}
	srv := s.srv
	go func() {
		companion.Start()
		for end := time.Now().Add(companionFor); time.Now().Before(end) && ctx.Err() == nil && !leads(srv); {
			select {
			case <-ctx.Done():
			case <-time.After(50 * time.Millisecond):
			}
		}
		companion.Shutdown()
		companion.WaitForShutdown()
	}()
	return nil
}

// leads reports whether the server knows who leads those that keep streams.
func leads(srv *server.Server) bool {
	v, err := srv.Varz(&server.VarzOptions{})
	return err == nil && v.JetStream.Meta != nil && v.JetStream.Meta.Leader != ""
}

// reachable is how a process on this machine reaches what listens there.
func reachable(host string, port int) string {
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, strconv.Itoa(port))
}
