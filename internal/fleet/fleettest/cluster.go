package fleettest

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/rind-project/rind/internal/base/pki"
	"github.com/rind-project/rind/internal/fleet/bus"
	"github.com/rind-project/rind/internal/fleet/natsd"
)

// Cluster starts a broker of three servers, of which the first keeps the
// buckets and is the world's.
func Cluster(t testing.TB) (*World, []*natsd.Server) {
	t.Helper()
	w := &World{t: t, Dir: t.TempDir()}
	ca, err := pki.OpenCA(filepath.Join(w.Dir, "pki"))
	w.must(err)
	server, err := ca.ServerTLS([]string{"127.0.0.1"})
	w.must(err)
	route, err := ca.RouteTLS()
	w.must(err)
	w.caPEM = ca.CertPEM()
	first := FreeAddr(t)
	var all []*natsd.Server
	for i := range 3 {
		cfg, dir := config(), w.Dir
		if i == 0 {
			cfg.Cluster.Listen = first
		} else {
			cfg.Cluster.Listen, cfg.Cluster.Routes, cfg.JetStream.Enabled, dir = "127.0.0.1:0", []string{first}, false, t.TempDir()
			w.must(copyKeys(filepath.Join(dir, "keys"), filepath.Join(w.Dir, "keys")))
		}
		s := natsd.New(cfg, natsd.Deps{Log: Log(), DataDir: dir, TLS: server, RouteTLS: route})
		w.must(s.Start(t.Context()))
		t.Cleanup(func() { Stop(t, s) })
		all = append(all, s)
	}
	w.Bus = all[0]
	w.must(w.Bus.WaitLeader(t.Context()))
	w.connect()
	have, err := w.Bus.Capacity(t.Context())
	w.must(err)
	w.must(bus.EnsureWithin(t.Context(), w.JS, have))
	return w, all
}

// copyKeys copies a folder of keys, which nobody else may read.
func copyKeys(to, from string) error {
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		return err
	}
	files, err := os.ReadDir(to)
	for _, f := range files {
		err = errors.Join(err, os.Chmod(filepath.Join(to, f.Name()), 0o600))
	}
	return err
}
