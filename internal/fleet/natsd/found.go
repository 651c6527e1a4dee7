package natsd

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/rind-project/rind/internal/base/disk"
	"github.com/rind-project/rind/internal/base/errs"
)

// founds reports whether this server is the first one of its cluster: it keeps
// streams and is told of no other server.
func (c Config) founds() bool {
	return c.Clustered() && c.JetStream.Enabled && len(c.Cluster.Routes) == 0
}

// metaDir is where nats-server keeps what the servers of a cluster have agreed
// on, below the bus folder.
func (s *Server) metaDir(dir string) string {
	return filepath.Join(dir, "jetstream", public(s.keys.System), "_js_", "_meta_")
}

// enlist says to nats-server, at the first start in a cluster, with whom this
// server agrees on what is stored.
//
// The first server of a cluster begins alone: nats-server itself expects at
// least two. Every other one waits to be taken in by whoever leads, and can
// elect nobody before: left to nats-server, two new servers would elect one
// another, and what the first one has stored would be forgotten.
func (s *Server) enlist(dir, name string) error {
	if !s.cfg.Clustered() || !s.cfg.JetStream.Enabled {
		return nil
	}
	meta := s.metaDir(dir)
	_, err := os.Stat(filepath.Join(meta, peersFile))
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if s.cfg.founds() && s.deps.Joined {
		return errs.New(errs.Invalid, "this server joined a fleet, and would begin a cluster of its own: name the servers of the fleet in nats.cluster.routes")
	}
	size := 1
	if !s.cfg.founds() {
		size = never
	}
	if err := os.MkdirAll(meta, 0o750); err != nil {
		return fmt.Errorf("beginning the cluster: %w", err)
	}
	return disk.WriteFile(filepath.Join(meta, peersFile), onePeer(name, size))
}

// never is a size of which one server alone is never the greater part, nor are
// as many as there may be.
const never = 1 << 16

// peersFile is nats-server's, with its layout: the size of the cluster, the
// number of peers, their ids of eight bytes each, and whether the domain is
// extended (0: unknown).
const peersFile = "peers.idx"

func onePeer(name string, size int) []byte {
	b := binary.LittleEndian.AppendUint32(nil, uint32(size))
	b = binary.LittleEndian.AppendUint32(b, 1)
	b = append(b, peerID(name)...)
	return binary.LittleEndian.AppendUint16(b, 0)
}

// peerID is how nats-server calls the server of a name among its peers.
func peerID(name string) string {
	const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	sum := sha256.Sum256([]byte(name))
	for i := range 8 {
		sum[i] = digits[int(sum[i])%len(digits)]
	}
	return string(sum[:8])
}
