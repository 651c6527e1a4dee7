package blob_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/rind-project/rind/internal/fleet/blob"
)

func TestPack(t *testing.T) {
	t.Parallel()
	data := bytes.Repeat([]byte("line\n\x00"), blob.Chunk/6)
	sum := blob.Sum([]byte("whole"))
	packed, err := blob.Pack(blob.Header{SHA256: sum, N: 3, Size: 1 << 30, Sum: blob.Sum(data)}, data)
	if err != nil {
		t.Fatal(err)
	}
	h, b, err := blob.Unpack(packed)
	if err != nil || h.N != 3 || h.Size != 1<<30 || h.SHA256 != sum || !bytes.Equal(b, data) {
		t.Errorf("%+v %d bytes %v", h, len(b), err)
	}
	for name, bad := range map[string][]byte{
		"empty": nil, "no header": data[:4], "cut": packed[:len(packed)-1], "one bit": append(bytes.Clone(packed[:len(packed)-1]), packed[len(packed)-1]^1),
		"no JSON": []byte("{\nx"), "no hash": []byte("{}\nx"), "long header": []byte(strings.Repeat(" ", 5000) + "{}\n"),
		"negative": []byte(`{"sha256":"` + sum + `","n":-1,"sum":"` + blob.Sum(nil) + `"}` + "\n"),
	} {
		if _, _, err := blob.Unpack(bad); err == nil {
			t.Errorf("%s: is taken", name)
		}
	}
}

func TestSizes(t *testing.T) {
	t.Parallel()
	for size, want := range map[int64][2]int{0: {0, 0}, 1: {1, 1}, blob.Chunk: {1, blob.Chunk}, blob.Chunk + 1: {2, 1}, 3*blob.Chunk - 1: {3, blob.Chunk - 1}} {
		if n := blob.Chunks(size); n != want[0] || blob.ChunkLen(size, max(0, n-1)) != want[1] {
			t.Errorf("%d bytes: %d chunks, the last of %d, want %v", size, n, blob.ChunkLen(size, max(0, n-1)), want)
		}
	}
	for _, bad := range []blob.Begin{{}, {SHA256: strings.Repeat("AB", 32)}, {SHA256: strings.Repeat("ab", 31)}, {SHA256: blob.Sum(nil), Size: -1}, {SHA256: blob.Sum(nil), Size: blob.MaxSize + 1},
		{SHA256: blob.Sum(nil), Name: strings.Repeat("x", 5000)}, {SHA256: "../" + blob.Sum(nil)[3:]}} {
		if bad.Check() == nil {
			t.Errorf("%.80v is taken", bad)
		}
	}
}

func FuzzUnpack(f *testing.F) {
	good, _ := blob.Pack(blob.Header{SHA256: blob.Sum(nil), Sum: blob.Sum([]byte("x"))}, []byte("x"))
	f.Add(good)
	f.Add([]byte("{}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		h, b, err := blob.Unpack(data)
		if err == nil && (blob.CheckSum(h.SHA256) != nil || len(b) > blob.Chunk || blob.Sum(b) != h.Sum) {
			t.Errorf("%+v with %d bytes is taken", h, len(b))
		}
	})
}
