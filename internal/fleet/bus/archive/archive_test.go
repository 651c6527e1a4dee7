package archive

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet/bus"
)

var made = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// write makes an archive by a function.
func write(t testing.TB, fill func(*Writer)) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := NewWriter(&out, Header{Version: "v1", Fleet: "sha256:ab", Made: made})
	if err != nil {
		t.Fatal(err)
	}
	fill(w)
	if _, err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func must(t testing.TB, all ...error) {
	t.Helper()
	for _, err := range all {
		if err != nil {
			t.Fatal(err)
		}
	}
}

func sample(t testing.TB) []byte {
	return write(t, func(w *Writer) {
		must(t, w.Begin(KindKeys, "keys"), w.File("keys/root", []byte("secret")), w.End(0, "", nil),
			w.Begin(KindBucket, bus.Facts),
			w.Value(Value{Key: "web-01", Time: made, Data: []byte(`{"os":"x"}`)}),
			w.Value(Value{Key: "web-01", Time: made.Add(time.Second), Op: Delete}),
			w.Value(Value{Key: "web-02", Time: made, Data: bytes.Repeat([]byte("a"), 256<<10)}),
			w.End(7, "", nil),
			w.Begin(KindBucket, bus.EventsStream), w.Value(Value{Key: "event.web-01.disk.full", Time: made, Data: []byte("{}")}), w.End(1, "", nil),
			w.Begin(KindBucket, bus.Jobs), w.End(0, "", errs.New(errs.NotFound, "it is gone from the bus")),
			w.Begin(KindDatabase, "sqlite"), w.Chunk([]byte("SQLite format 3")), w.Chunk(nil), w.End(0, "", nil))
	})
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	t.Parallel()
	var got []string
	h, trailer, err := Read(bytes.NewReader(sample(t)), Visitor{
		Part: func(p Part) error { got = append(got, "begin "+p.Name); return nil },
		Value: func(b string, v Value) error {
			got = append(got, b+" "+v.Key+" "+v.Op.header()+" "+v.Time.UTC().Format("15:04:05")+" "+string(v.Data[:min(len(v.Data), 12)]))
			return nil
		},
		File:  func(p string, b []byte) error { got = append(got, p+" "+string(b)); return nil },
		Chunk: func(b []byte) error { got = append(got, "chunk "+string(b)); return nil },
		End:   func(p Part) error { got = append(got, "end "+p.Name+" "+p.Problem); return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"begin keys", "keys/root secret", "end keys ", "begin facts", `facts web-01  12:00:00 {"os":"x"}`, "facts web-01 DEL 12:00:01 ",
		"facts web-02  12:00:00 aaaaaaaaaaaa", "end facts ", "begin job-events", "job-events event.web-01.disk.full  12:00:00 {}", "end job-events ",
		"begin jobs", "end jobs it is gone from the bus", "begin sqlite", "chunk SQLite format 3", "chunk ", "end sqlite ",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if h.Fleet != "sha256:ab" || !h.Made.Equal(made) || !trailer.Failed() || len(trailer.Parts) != 5 {
		t.Errorf("%+v %+v", h, trailer)
	}
	if p, ok := trailer.Part(KindBucket, bus.Facts); !ok || p.Values != 3 || p.LastSeq != 7 || p.Bytes != 256<<10+10+18 {
		t.Errorf("%+v", p)
	}
}

// However an archive was cut or changed, it is refused.
func TestDamage(t *testing.T) {
	t.Parallel()
	whole := sample(t)
	if _, _, err := Check(bytes.NewReader(whole)); err != nil {
		t.Fatal(err)
	}
	refused := func(what string, b []byte) {
		t.Helper()
		if _, _, err := Check(bytes.NewReader(b)); err == nil || !errs.Is(err, errs.Invalid) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for n := range len(whole) {
		refused("cut off", whole[:n])
		flipped := bytes.Clone(whole)
		flipped[n] ^= 0x10
		if _, _, err := Check(bytes.NewReader(flipped)); err == nil && !bytes.Equal(content(t, flipped), content(t, whole)) {
			t.Errorf("byte %d changed, and nobody noticed", n)
		}
	}
	refused("followed by more", append(bytes.Clone(whole), sample(t)...))
	refused("foreign", []byte("PK\x03\x04 not ours"))
	refused("empty", nil)
}

// content is all that an archive tells.
func content(t *testing.T, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	_, _, err := Read(bytes.NewReader(b), Visitor{
		Value: func(b string, v Value) error { out.WriteString(b + v.Key + string(v.Data)); return nil },
		Chunk: func(b []byte) error { out.Write(b); return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestHostileContent(t *testing.T) {
	t.Parallel()
	value := func(bucket string, v Value) func(*Writer) {
		return func(w *Writer) { must(t, w.Begin(KindBucket, bucket), w.Value(v), w.End(0, "", nil)) }
	}
	tests := map[string]struct {
		fill func(*Writer)
		want string
	}{
		"a wildcard":           {value(bus.Facts, Value{Key: "web.>"}), "which is none"},
		"a star":               {value(bus.Facts, Value{Key: "*"}), "which is none"},
		"a space":              {value(bus.Facts, Value{Key: "a b\r\nPUB x"}), "which is none"},
		"an empty key":         {value(bus.Facts, Value{}), "which is none"},
		"an empty token":       {value(bus.Facts, Value{Key: "a..b"}), "which is none"},
		"a long key":           {value(bus.Facts, Value{Key: strings.Repeat("a", maxKey+1)}), "which is none"},
		"a foreign event":      {value(bus.EventsStream, Value{Key: "$JS.API.STREAM.DELETE.KV_facts"}), "not one of its own"},
		"another's subject":    {value(bus.EventsStream, Value{Key: "all.job"}), "not one of its own"},
		"a huge value":         {value(bus.Facts, Value{Key: "a", Data: make([]byte, 256<<10+1)}), "takes 262144"},
		"an unknown operation": {value(bus.Facts, Value{Key: "a", Op: 3}), "operation 3"},
		"an unknown bucket":    {func(w *Writer) { must(t, w.Begin(KindBucket, "passwords"), w.End(0, "", nil)) }, "does not keep"},
		"a bucket of no value": {func(w *Writer) { must(t, w.Begin(KindBucket, bus.UpdateStatus), w.End(0, "", nil)) }, "does not keep"},
		"an unknown part":      {func(w *Writer) { must(t, w.Begin("exe", "x"), w.End(0, "", nil)) }, "of the kind"},
		"twice": {func(w *Writer) {
			must(t, w.Begin(KindBucket, bus.Facts), w.End(0, "", nil), w.Begin(KindBucket, bus.Facts), w.End(0, "", nil))
		}, "twice"},
		"a path": {func(w *Writer) {
			must(t, w.Begin(KindKeys, "keys"), w.File("keys/../../etc/passwd", nil), w.End(0, "", nil))
		}, "under the path"},
		"a parent":      {func(w *Writer) { must(t, w.Begin(KindKeys, "keys"), w.File("keys/..", nil), w.End(0, "", nil)) }, "under the path"},
		"a root path":   {func(w *Writer) { must(t, w.Begin(KindKeys, "keys"), w.File("/etc/passwd", nil), w.End(0, "", nil)) }, "under the path"},
		"a huge record": {func(w *Writer) { w.sum.Write(nil); _, _ = w.zstd.Write([]byte{recPart, 0xff, 0xff, 0xff, 0xff, 0x7f}) }, "the limit is"},
		"a value of no bucket": {func(w *Writer) {
			must(t, w.Begin(KindDatabase, "sqlite"), w.Value(Value{Key: "a"}), w.End(0, "", nil))
		}, "where it cannot be"},
	}
	for name, test := range tests {
		b := write(t, test.fill)
		if _, _, err := Check(bytes.NewReader(b)); err == nil || !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A file that unpacks to far more than it is makes the reader read, never hold.
func TestBombIsRead(t *testing.T) {
	t.Parallel()
	zeros := make([]byte, Chunk)
	b := write(t, func(w *Writer) {
		must(t, w.Begin(KindDatabase, "sqlite"))
		for range 256 {
			must(t, w.Chunk(zeros))
		}
		must(t, w.End(0, "", nil))
	})
	most := 0
	_, _, err := Read(bytes.NewReader(b), Visitor{Chunk: func(b []byte) error { most = max(most, cap(b)); return nil }})
	if err != nil || most > 2*maxRecord || len(b) > 1<<20 {
		t.Errorf("%v: %d bytes held, %d in the file", err, most, len(b))
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestWritingFails(t *testing.T) {
	t.Parallel()
	w, err := NewWriter(failing{}, Header{})
	must(t, err, w.Begin(KindDatabase, "sqlite"))
	for range 100 {
		if err = w.Chunk(bytes.Repeat([]byte{1, 2, 3, 5, 7}, Chunk/5)); err != nil {
			break
		}
	}
	if _, closed := w.Close(); closed == nil {
		t.Error("a file that could not be written is an archive")
	}
}

func FuzzRead(f *testing.F) {
	f.Add(sample(f))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _, err := Read(bytes.NewReader(b), Visitor{Value: func(_ string, v Value) error {
			if !goodKey(v.Key) {
				t.Errorf("told of the key %q", v.Key)
			}
			return nil
		}})
		if err != nil && !errs.Is(err, errs.Invalid) {
			t.Errorf("%v", err)
		}
	})
}
