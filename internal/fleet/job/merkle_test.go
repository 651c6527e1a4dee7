package job

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"testing"

	"github.com/rind-project/rind/internal/fleet"
)

// mth is the tree hash as RFC 6962, section 2.1 defines it, by recursion.
func mth(d [][]byte) []byte {
	if len(d) == 1 {
		h := sha256.Sum256(append([]byte{0}, d[0]...))
		return h[:]
	}
	k := 1
	for k*2 < len(d) {
		k *= 2
	}
	h := sha256.Sum256(append(append([]byte{1}, mth(d[:k])...), mth(d[k:])...))
	return h[:]
}

func TestTreeIsThatOfTheRFC(t *testing.T) {
	t.Parallel()
	var ids []fleet.PeelID
	var raw [][]byte
	for n := range 70 {
		id := fmt.Sprintf("p%d", n)
		ids, raw = append(ids, fleet.PeelID(id)), append(raw, []byte(id))
		if got, want := hex.EncodeToString(newTree(ids).root()), hex.EncodeToString(mth(raw)); got != want {
			t.Fatalf("%d leaves: root %s, want %s", n+1, got, want)
		}
	}
}

func TestPathsAreExact(t *testing.T) {
	t.Parallel()
	ids := []fleet.PeelID{"a", "b", "c", "d", "e"}
	tr := newTree(ids)
	for n, id := range ids {
		path := tr.path(n)
		if !verifyPath(id, n, 5, path, tr.root()) {
			t.Errorf("leaf %d is refused", n)
		}
		for _, bad := range []struct {
			name string
			ok   bool
		}{
			{"index", verifyPath(id, n+1, 5, path, tr.root())},
			{"negative index", verifyPath(id, -1, 5, path, tr.root())},
			{"other id", verifyPath(id+"x", n, 5, path, tr.root())},
			{"shorter", verifyPath(id, n, 5, path[:len(path)-1], tr.root())},
			{"longer", verifyPath(id, n, 5, append(path[:len(path):len(path)], path[0]), tr.root())},
			{"no size", verifyPath(id, n, 0, path, tr.root())},
		} {
			if bad.ok {
				t.Errorf("leaf %d with a wrong %s is taken", n, bad.name)
			}
		}
	}
	// An inner node shown as a leaf: its hash has another first byte.
	inner := nodeHash(tr.levels[0][0][:], tr.levels[0][1][:])
	if leafHash(fleet.PeelID(string(tr.levels[0][0][:])+string(tr.levels[0][1][:]))) == inner {
		t.Error("a leaf can be an inner node")
	}
}

func TestPathLengthAtHundredThousand(t *testing.T) {
	t.Parallel()
	ids := make([]fleet.PeelID, 100_000)
	for n := range ids {
		ids[n] = fleet.PeelID(fmt.Sprintf("host-%06d", n))
	}
	tr := newTree(ids)
	for _, n := range []int{0, 1, 65_535, 65_536, 99_999} {
		p := tr.path(n)
		if len(p) > 17 || !verifyPath(ids[n], n, len(ids), p, tr.root()) {
			t.Errorf("leaf %d: %d hashes", n, len(p))
		}
	}
}
