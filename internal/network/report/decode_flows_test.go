package report

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/report/reporttest"
)

// TestBlockIsVarints compares reading by blocks with reading one by one, for
// values of every length in every mix, and for columns that are cut off.
func TestBlockIsVarints(t *testing.T) {
	t.Parallel()
	g := rand.New(rand.NewPCG(1, 2))
	for round := range 2000 {
		var b []byte
		var want []uint64
		for range 1 + g.IntN(3*blockRows) {
			v := g.Uint64() >> g.IntN(64)
			if round%3 == 0 {
				v &= 0x7f
			}
			want = append(want, v)
			b = protowire.AppendVarint(b, v)
		}
		c := cursor{b: b, present: true}
		for rest := want; len(rest) > 0; {
			got := make([]uint64, min(blockRows, len(rest)))
			c.block(got, math.MaxUint64)
			for i := range got {
				if got[i] != rest[i] {
					t.Fatalf("round %d: %d is read as %d", round, rest[i], got[i])
				}
			}
			rest = rest[len(got):]
		}
		if c.bad || c.left() {
			t.Fatalf("round %d: the end is not the end", round)
		}
		cut := cursor{b: b[:g.IntN(len(b))], present: true}
		cut.block(make([]uint64, len(want)), math.MaxUint64)
		if !cut.bad {
			t.Fatalf("round %d: a column that is cut off is taken", round)
		}
		limited := cursor{b: b, present: true}
		most := uint64(0)
		for _, v := range want {
			most = max(most, v)
		}
		limited.block(make([]uint64, len(want)), most)
		if limited.bad {
			t.Fatalf("round %d: the limit itself is refused", round)
		}
		if limited = (cursor{b: b, present: true}); most > 0 {
			if limited.block(make([]uint64, len(want)), most-1); !limited.bad {
				t.Fatalf("round %d: a value over the limit is taken", round)
			}
		}
	}
}

// TestRecycle shows that nothing of a report shows in the next one that has its
// memory, and that reports decoded at once have memory of their own.
func TestRecycle(t *testing.T) {
	t.Parallel()
	d := decoder(t, DefaultLimits())
	for round := range uint64(20) {
		full := sample(round, reporttest.Size{Flows: 3000 - int(round)*50})
		bare := &network.Report{Identity: full.Identity, Start: full.Start, End: full.End}
		for i := range 2000 {
			bare.Flows = append(bare.Flows, network.Flow{Start: full.Start, End: full.Start.Add(time.Duration(i) * time.Microsecond)})
		}
		for _, want := range []*network.Report{full, bare} {
			b, err := Encode(want)
			if err != nil {
				t.Fatal(err)
			}
			got, err := d.Decode(b)
			if err != nil {
				t.Fatal(err)
			}
			other, err := d.Decode(b)
			if err != nil {
				t.Fatal(err)
			}
			if &got.Flows[0] == &other.Flows[0] {
				t.Fatal("two reports have the same memory")
			}
			if diff := cmp.Diff(want.Flows, got.Flows, same); diff != "" {
				t.Fatalf("round %d (-want +got):\n%s", round, diff)
			}
			d.Recycle(got)
			d.Recycle(other)
			if got.Flows != nil {
				t.Fatal("a recycled report has its flows still")
			}
		}
	}
}
