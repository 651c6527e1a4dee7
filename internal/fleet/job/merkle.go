package job

import (
	"bytes"
	"crypto/sha256"
	"math/bits"

	"github.com/rind-project/rind/internal/fleet"
)

const hashSize = sha256.Size

// leafHash and nodeHash are those of RFC 6962, section 2.1: the first byte
// keeps a leaf from being shown as an inner node.
func leafHash(id fleet.PeelID) [hashSize]byte {
	return sha256.Sum256(append([]byte{0}, id...))
}

func nodeHash(l, r []byte) [hashSize]byte {
	var b [1 + 2*hashSize]byte
	b[0] = 1
	copy(b[1:], l)
	copy(b[1+hashSize:], r)
	return sha256.Sum256(b[:])
}

// tree is the Merkle tree of RFC 6962 over a list of ids, with all its inner
// nodes, level by level. A node without a sibling moves up as it is, which is
// the same tree as the RFC's recursive one.
type tree struct {
	levels [][][hashSize]byte
}

func newTree(ids []fleet.PeelID) *tree {
	level := make([][hashSize]byte, len(ids))
	for i, id := range ids {
		level[i] = leafHash(id)
	}
	t := &tree{levels: [][][hashSize]byte{level}}
	for len(level) > 1 {
		up := make([][hashSize]byte, 0, (len(level)+1)/2)
		for i := 0; i+1 < len(level); i += 2 {
			up = append(up, nodeHash(level[i][:], level[i+1][:]))
		}
		if len(level)%2 == 1 {
			up = append(up, level[len(level)-1])
		}
		t.levels = append(t.levels, up)
		level = up
	}
	return t
}

func (t *tree) root() []byte { return t.levels[len(t.levels)-1][0][:] }

// path returns the audit path of leaf n, from the leaf up.
func (t *tree) path(n int) [][]byte {
	var p [][]byte
	for _, level := range t.levels[:len(t.levels)-1] {
		if sib := n ^ 1; sib < len(level) {
			p = append(p, level[sib][:])
		}
		n /= 2
	}
	return p
}

// verifyPath checks that id is leaf n of size in the tree with the root, as
// RFC 9162, section 2.1.3.2 does.
func verifyPath(id fleet.PeelID, n, size int, path [][]byte, root []byte) bool {
	if n < 0 || n >= size || len(path) > bits.Len(uint(size-1)) {
		return false
	}
	h := leafHash(id)
	fn, sn := n, size-1
	for _, p := range path {
		if sn == 0 || len(p) != hashSize {
			return false
		}
		if fn%2 == 1 || fn == sn {
			h = nodeHash(p, h[:])
			for fn%2 == 0 && fn != 0 {
				fn, sn = fn/2, sn/2
			}
		} else {
			h = nodeHash(h[:], p)
		}
		fn, sn = fn/2, sn/2
	}
	return sn == 0 && bytes.Equal(h[:], root)
}
