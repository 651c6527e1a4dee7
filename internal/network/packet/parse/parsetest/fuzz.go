package parsetest

import (
	"errors"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/packet/parse"
)

// FuzzStream fuzzes a stream: whatever the sides say, it neither fails nor
// asks for more than it may, and what it finds does not depend on how the
// bytes were cut. Each seed is a conversation; captures of Conversations are
// the best.
func FuzzStream(f *testing.F, newStream func() parse.Stream, seeds ...Conversation) {
	f.Helper()
	for i, c := range seeds {
		var data, plan []byte
		for _, chunk := range c.Chunks {
			for b := chunk.Data; len(b) > 0; {
				n := min(len(b), 128)
				plan = append(plan, byte(n-1)<<1|byte(chunk.Side))
				data, b = append(data, b[:n]...), b[n:]
			}
		}
		f.Add(data, plan, uint64(i))
	}
	s := newStream()
	f.Fuzz(func(t *testing.T, data, plan []byte, seed uint64) {
		Cuts(t, s, planned(data, plan), seed)
	})
}

// planned makes a conversation: each byte of the plan is a side in its lowest
// bit and a length less one in the others. What the plan leaves over is the
// client's.
func planned(data, plan []byte) Conversation {
	var chunks []Chunk
	for _, p := range plan {
		n := min(len(data), 1+int(p>>1))
		if n == 0 {
			break
		}
		chunks = append(chunks, Chunk{Side: int(p & 1), Data: data[:n]})
		data = data[n:]
	}
	if len(data) > 0 {
		chunks = append(chunks, Chunk{Side: parse.Client, Data: data})
	}
	return Talk(1, chunks...)
}

// Cuts feeds the conversation as it is and with its chunks cut at random, and
// fails when the records or the error differ.
func Cuts(t testing.TB, s parse.Stream, c Conversation, seed uint64) {
	t.Helper()
	rnd := rand.New(rand.NewPCG(seed, seed))
	want, got := NewOut(), NewOut()
	wantErr := Run(s, want, c, nil)
	gotErr := Run(s, got, c, func(left int) int {
		if rnd.IntN(2) == 0 {
			return 1 + rnd.IntN(4)
		}
		return 1 + rnd.IntN(left)
	})
	if ending(wantErr) != ending(gotErr) {
		t.Fatalf("cut otherwise it ends with %q, whole with %q", ending(gotErr), ending(wantErr))
	}
	if diff := cmp.Diff(all(want), all(got), cmp.Exporter(exportAll)); diff != "" {
		t.Fatalf("cut otherwise it gives other records (-whole +cut):\n%s", diff)
	}
	switch {
	case wantErr == nil, isSentinel(wantErr):
	default:
		t.Fatal(wantErr)
	}
}

// FuzzDatagrams fuzzes a Datagrams parser with two datagrams, one of each
// side.
func FuzzDatagrams(f *testing.F, newParser func() parse.Datagrams, seeds ...Conversation) {
	f.Helper()
	for _, c := range seeds {
		for _, chunk := range c.Chunks {
			f.Add(chunk.Data, chunk.Data)
		}
	}
	f.Fuzz(func(t *testing.T, client, server []byte) {
		d, out := newParser(), NewOut()
		c := Talk(1, Chunk{Side: parse.Client, Data: client}, Chunk{Side: parse.Server, Data: server})
		c.Session.Proto = network.UDP
		if err := RunDatagrams(d, out, c); err != nil && !isSentinel(err) {
			t.Fatal(err)
		}
		if w, ok := d.(waiter); ok {
			w.Flush(out)
		}
	})
}

func exportAll(reflect.Type) bool { return true }

func isSentinel(err error) bool {
	for _, s := range []error{parse.ErrDone, parse.ErrNot, parse.ErrMalformed, parse.ErrTLS, parse.ErrAgain} {
		if errors.Is(err, s) {
			return true
		}
	}
	return false
}
