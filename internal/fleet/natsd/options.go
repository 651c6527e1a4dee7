package natsd

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
	"golang.org/x/sys/unix"

	"github.com/rind-project/rind/internal/base/config"
	"github.com/rind-project/rind/internal/base/errs"
)

// storage is how much JetStream may keep.
type storage struct{ mem, disk int64 }

func (c Config) storage(dir string) (storage, error) {
	var s storage
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return s, fmt.Errorf("asking for the machine's memory: %w", err)
	}
	var fsys unix.Statfs_t
	if err := unix.Statfs(dir, &fsys); err != nil {
		return s, fmt.Errorf("asking for the free space in %s: %w", dir, err)
	}
	var err error
	if s.mem, err = storeSize("nats.jetstream.max_mem_store", c.JetStream.MaxMemStore, int64(info.Totalram)*int64(info.Unit)); err != nil {
		return s, err
	}
	// What JetStream has stored already counts as free, so that the limit is
	// the same after a restart.
	free := int64(fsys.Bavail)*fsys.Bsize + sizeOf(dir)
	if s.disk, err = storeSize("nats.jetstream.max_file_store", c.JetStream.MaxFileStore, free); err != nil {
		return s, err
	}
	if took := reserved(dir); s.disk < took {
		if !strings.HasSuffix(c.JetStream.MaxFileStore, "%") {
			return s, errs.New(errs.Invalid, "nats.jetstream.max_file_store is %s, and the streams that are there have reserved %s: raise it to that at least", c.JetStream.MaxFileStore, config.Size(took))
		}
		s.disk = took // what else fills the disk must not keep the bus from starting; a full disk is refused where something is written
	}
	return s, nil
}

// reserved adds up the sizes of the streams that are kept in a folder: with a
// limit below it JetStream would not start. They stand in a file of each stream
// (FileStreamInfo of nats-server); what cannot be read counts as nothing.
func reserved(dir string) int64 {
	files, err := filepath.Glob(filepath.Join(dir, "jetstream", "*", "streams", "*", "meta.inf"))
	if err != nil {
		return 0
	}
	var sum int64
	for _, name := range files {
		var stream struct {
			MaxBytes int64 `json:"max_bytes"`
		}
		if text, err := os.ReadFile(name); err == nil && json.Unmarshal(text, &stream) == nil && stream.MaxBytes > 0 {
			sum += stream.MaxBytes
		}
	}
	return sum
}

// sizeOf adds up the files below a folder, leaving out what it cannot see.
func sizeOf(dir string) int64 {
	var sum int64
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			if info, err := d.Info(); err == nil {
				sum += info.Size()
			}
		}
		return nil
	})
	return sum
}

// limits are what the account may store. In a cluster each server bounds that
// by itself: every one of them has to sign the same account.
func (s storage) limits(c Config) jwt.JetStreamLimits {
	if c.Clustered() {
		return jwt.JetStreamLimits{
			MemoryStorage: jwt.NoLimit, DiskStorage: jwt.NoLimit,
			Streams: 64, Consumer: 10_000, MaxAckPending: jwt.NoLimit, MaxBytesRequired: true,
		}
	}
	return jwt.JetStreamLimits{
		MemoryStorage: s.mem, DiskStorage: s.disk,
		Streams: 64, Consumer: 10_000,
		MaxAckPending:    int64(c.JetStream.Limits.MaxAckPending),
		MaxBytesRequired: true,
	}
}

// options are nats-server's options.
func (s *Server) options(ctx context.Context, size storage, dir string) (*server.Options, error) {
	host, port, err := s.cfg.hostPort()
	if err != nil {
		return nil, err
	}
	if port == 0 {
		port = server.RANDOM_PORT
	}
	always, every, err := s.cfg.syncInterval()
	if err != nil {
		return nil, err
	}
	name, err := s.serverName(dir)
	if err != nil {
		return nil, fmt.Errorf("keeping this server's name: %w", err)
	}
	if err := s.enlist(dir, name); err != nil {
		return nil, err
	}
	js := s.cfg.JetStream
	opts := &server.Options{
		ServerName: name,
		Host:       host, Port: port,
		NoSigs: true, NoLog: true,
		MaxConn:       s.cfg.MaxConnections,
		MaxPayload:    int32(s.cfg.MaxPayload),
		MaxSubs:       1 << 16,
		WriteDeadline: s.cfg.WriteDeadline,
		PingInterval:  pingInterval, MaxPingsOut: pingsOut,
		// Nearly every subject is spoken on by one peel alone, so that a
		// cache of who listens is missed, and written to under a lock.
		NoSublistCache: true,
		TLS:            true, TLSConfig: s.clientTLS(),
		// A whole fleet that comes back at once keeps the processors busy for
		// a while; the handshake of the last one must not time out.
		TLSTimeout: 30, AuthTimeout: 60,
		ClientAdvertise: s.cfg.Advertise,
		JetStream:       js.Enabled, StoreDir: dir,
		JetStreamMaxMemory: size.mem, JetStreamMaxStore: size.disk,
		JetStreamDomain: js.Domain,
		JetStreamLimits: server.JSLimitOpts{MaxAckPending: js.Limits.MaxAckPending, Duplicates: js.Limits.DuplicateWindow},
		SyncAlways:      always, SyncInterval: every,
		SystemAccount: public(s.keys.System),
	}
	return opts, s.clusterOptions(ctx, opts)
}

// clientTLS is the TLS of clients, behind the gate.
func (s *Server) clientTLS() *tls.Config {
	s.gate = newGate()
	if !s.deps.Hold {
		s.gate.let()
	}
	return s.gate.guard(tls13(s.deps.TLS))
}

// tls13 is the server's TLS with nothing below 1.3.
func tls13(cfg *tls.Config) *tls.Config {
	cfg = cfg.Clone()
	cfg.MinVersion = tls.VersionTLS13
	return cfg
}

// writable makes the folder and tries to write into it.
func writable(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return errs.New(errs.Unavailable, "cannot make the bus folder below the data folder; choose another data_dir or make it writable for this user: %w", err)
	}
	f, err := os.CreateTemp(dir, ".probe-*")
	if err != nil {
		return errs.New(errs.Unavailable, "the data folder %s is not writable; choose another data_dir or make it writable for this user: %w", dir, err)
	}
	f.Close()
	return os.Remove(f.Name())
}

// warnFiles says so when fewer files may be open than peels may connect: each
// connection is one, and JetStream needs some too.
func (s *Server) warnFiles() {
	var lim unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &lim); err != nil {
		return
	}
	if need := uint64(s.cfg.MaxConnections) / 5 * 6; lim.Cur < need {
		s.deps.Log.Info("fewer files may be open than nats.max_connections wants; raise the limit (LimitNOFILE in the unit) before the fleet grows that far",
			"limit", lim.Cur, "peels_about", lim.Cur/6*5, "wanted", need)
	}
}
