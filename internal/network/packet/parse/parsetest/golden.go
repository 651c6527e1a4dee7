package parsetest

import (
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/packet/parse"
)

var update = flag.Bool("update", false, "write the golden files")

// Update reports whether golden files are to be written (-update), for tests
// that have others than Compare's.
func Update() bool { return *update }

// Golden feeds every TCP conversation with the port in the capture to a
// stream, in one piece and byte by byte, and compares the records, and how each
// conversation ended, with the file of the same name that ends in .json
// (-update writes it).
func Golden(t *testing.T, path string, port uint16, newStream func() parse.Stream) {
	t.Helper()
	s := newStream()
	read := func(cut func(int) int) string {
		out := NewOut()
		var ends []string
		for _, c := range Conversations(t, path, network.TCP, port) {
			ends = append(ends, ending(Run(s, out, c, cut)))
		}
		return Rows(t, out) + "\n" + strings.Join(ends, "\n") + "\n"
	}
	whole := read(nil)
	if bytewise := read(func(int) int { return 1 }); bytewise != whole {
		t.Errorf("%s: byte by byte gives another result (-in one piece, +byte by byte):\n%s", path, cmp.Diff(whole, bytewise))
	}
	compare(t, path, whole)
}

// waiter is a Datagrams parser that keeps what waits for an answer.
type waiter interface {
	Flush(out *parse.Out)
}

// GoldenDatagrams feeds every UDP conversation with the port, and compares
// like Golden. A parser with a method Flush(*parse.Out) is flushed at the end.
func GoldenDatagrams(t *testing.T, path string, port uint16, d parse.Datagrams) {
	t.Helper()
	out := NewOut()
	var ends []string
	for _, c := range Conversations(t, path, network.UDP, port) {
		ends = append(ends, ending(RunDatagrams(d, out, c)))
	}
	if w, ok := d.(waiter); ok {
		w.Flush(out)
	}
	compare(t, path, Rows(t, out)+"\n"+strings.Join(ends, "\n")+"\n")
}

func ending(err error) string {
	if err == nil {
		return "# end"
	}
	return "# " + err.Error()
}

func compare(t *testing.T, path, got string) {
	t.Helper()
	golden := strings.TrimSuffix(strings.TrimSuffix(path, ".gz"), ".pcap") + ".json"
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatalf("%v (make it with -update)", err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-golden +now):\n%s", path, diff)
	}
}
