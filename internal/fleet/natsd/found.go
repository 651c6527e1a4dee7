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

// found lets the first server of a cluster begin alone. nats-server expects a
// cluster to begin with at least two, and would wait for the second for ever;
// the file that it keeps its peers in says here that there is one so far.
// Servers that come later are added by the one that leads.
func (s *Server) found(dir, name string) error {
	if !s.cfg.founds() {
		return nil
	}
	meta := s.metaDir(dir)
	_, err := os.Stat(filepath.Join(meta, peersFile))
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.MkdirAll(meta, 0o750); err != nil {
		return fmt.Errorf("beginning the cluster: %w", err)
	}
	return disk.WriteFile(filepath.Join(meta, peersFile), onePeer(name))
}

// peersFile is nats-server's, with its layout: the size of the cluster, the
// number of peers, their ids of eight bytes each, and whether the domain is
// extended (0: unknown).
const peersFile = "peers.idx"

func onePeer(name string) []byte {
	b := binary.LittleEndian.AppendUint32(nil, 1)
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
