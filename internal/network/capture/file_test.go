package capture_test

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/network/capture"
	"github.com/rind-project/rind/internal/network/packet"
)

type got struct {
	TS   int64
	Link packet.LinkType
	Data string
	Wire int
}

// sink keeps the packets that it takes.
type sink []got

// Packet implements capture.Handler.
func (s *sink) Packet(ts int64, link packet.LinkType, data []byte, wire int) {
	*s = append(*s, got{ts, link, string(data), wire})
}

// readAll reads a capture to its end and returns the error other than EOF.
func readAll(b []byte, opts capture.FileOptions) (sink, error) {
	var s sink
	f, err := capture.NewFile(bytes.NewReader(b), "x.pcap", opts)
	if err != nil {
		return nil, err
	}
	for {
		if _, err := f.Read(&s, 0); err != nil {
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return s, err
		}
	}
}

type order interface {
	binary.ByteOrder
	binary.AppendByteOrder
}

var orders = map[string]order{"little": binary.LittleEndian, "big": binary.BigEndian}

func words(o order, v ...uint32) (b []byte) {
	for _, x := range v {
		b = o.AppendUint32(b, x)
	}
	return b
}

// pcapFile makes a classic file; a packet's time is its index in seconds and ticks.
func pcapFile(o order, magic, link uint32, packets ...string) []byte {
	b := words(o, magic)
	b = o.AppendUint16(o.AppendUint16(b, 2), 4)
	b = append(b, words(o, 0, 0, 65535, link)...)
	for i, p := range packets {
		b = append(b, words(o, uint32(i), uint32(i), uint32(len(p)), uint32(len(p)+i))...)
		b = append(b, p...)
	}
	return b
}

func TestPcap(t *testing.T) {
	t.Parallel()
	for name, o := range orders {
		for magic, unit := range map[uint32]int64{0xa1b2c3d4: 1000, 0xa1b23c4d: 1} {
			got_, err := readAll(pcapFile(o, magic, 0xf0000001, "abc", "", "de"), capture.FileOptions{})
			if err != nil {
				t.Fatal(err)
			}
			want := sink{{0, 1, "abc", 3}, {1e9 + unit, 1, "", 1}, {2e9 + 2*unit, 1, "de", 4}}
			if diff := cmp.Diff(want, got_); diff != "" {
				t.Errorf("%s endian, magic %x: %s", name, magic, diff)
			}
		}
	}
}

// block frames the body of a pcapng block.
func block(o order, typ uint32, body []byte) []byte {
	for len(body)%4 != 0 {
		body = append(body, 0)
	}
	n := uint32(len(body) + 12)
	return append(append(words(o, typ, n), body...), words(o, n)...)
}

func section(o order) []byte {
	b := o.AppendUint16(o.AppendUint16(words(o, 0x1a2b3c4d), 1), 0)
	return block(o, 0x0a0d0d0a, append(b, 255, 255, 255, 255, 255, 255, 255, 255))
}

func iface(o order, link uint16, snaplen uint32, options ...byte) []byte {
	b := o.AppendUint16(o.AppendUint16(nil, link), 0)
	return block(o, 1, append(append(b, words(o, snaplen)...), options...))
}

func option(o order, code uint16, value ...byte) []byte {
	b := append(o.AppendUint16(o.AppendUint16(nil, code), uint16(len(value))), value...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

func enhanced(o order, id uint32, ticks uint64, data string, wire int) []byte {
	b := words(o, id, uint32(ticks>>32), uint32(ticks), uint32(len(data)), uint32(wire))
	return block(o, 6, append(b, data...))
}

func TestPcapng(t *testing.T) {
	t.Parallel()
	for name, o := range orders {
		other := order(binary.LittleEndian)
		if name == "little" {
			other = binary.BigEndian
		}
		offset := o.AppendUint64(nil, 5)
		file := bytes.Join([][]byte{
			section(o),
			iface(o, 1, 0),
			iface(o, 101, 0, option(o, 9, 9)...),
			block(o, 5, make([]byte, 100)), // statistics: passed over
			enhanced(o, 0, 1_500_000, "abc", 9),
			enhanced(o, 1, 1_500_000, "de", 2),
			iface(o, 113, 0, append(option(o, 9, 0x80|10), option(o, 14, offset...)...)...),
			enhanced(o, 2, 1024+512, "f", 1),
			block(o, 2, append(append(o.AppendUint16(o.AppendUint16(nil, 1), 0), words(o, 0, 7, 2, 2)...), "gh"...)),
			block(o, 0x40000bad, make([]byte, 3<<20)), // larger than what is ever read
			section(other),
			iface(other, 276, 3),
			block(other, 3, append(words(other, 8), "ijk"...)),
		}, nil)
		got_, err := readAll(file, capture.FileOptions{})
		if err != nil {
			t.Fatal(name, err)
		}
		want := sink{
			{1_500_000_000, 1, "abc", 9}, {1_500_000, 101, "de", 2}, {6_500_000_000, 113, "f", 1},
			{7, 101, "gh", 2}, {7, 276, "ijk", 8},
		}
		if diff := cmp.Diff(want, got_); diff != "" {
			t.Errorf("%s endian: %s", name, diff)
		}
	}
}

func TestDamaged(t *testing.T) {
	t.Parallel()
	le := order(binary.LittleEndian)
	good := pcapFile(le, 0xa1b2c3d4, 1, "abcd", "efgh")
	huge := append(bytes.Clone(good), words(le, 0, 0, 0xffffffff, 0xffffffff)...)
	ng := append(section(le), iface(le, 1, 0)...)
	ngGood := append(bytes.Clone(ng), enhanced(le, 0, 1, "abcd", 4)...)
	wrongEnd := bytes.Clone(ngGood)
	wrongEnd[len(wrongEnd)-4]++
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	z.Write(good)
	z.Close()
	for name, c := range map[string]struct {
		in      []byte
		packets int
		want    string // part of the error; "" is none
	}{
		"whole":                       {good, 2, ""},
		"gzip":                        {zipped.Bytes(), 2, ""},
		"gzip cut":                    {zipped.Bytes()[:zipped.Len()-12], 2, "inside a record header"},
		"gzip header only":            {[]byte{0x1f, 0x8b, 8, 0}, 0, "gzip"},
		"empty":                       {nil, 0, "byte 0: the file is empty"},
		"one byte":                    {good[:1], 0, "only 1 bytes"},
		"garbage":                     {[]byte("hello, this is no capture"), 0, "begins with 68 65 6c 6c; not a pcap"},
		"half a header":               {good[:20], 0, "inside a file header: 20 of 24"},
		"version 3":                   {append(append(bytes.Clone(good[:4]), 3, 0), good[6:]...), 0, "version 3"},
		"record header cut":           {good[:len(good)-10], 1, "byte 44: the file ends inside a record header: 10 of 16"},
		"record cut":                  {good[:len(good)-1], 1, "byte 44: the file ends inside a record: 3 of 4"},
		"4 GB length":                 {huge, 2, "byte 64: a record says it has 4294967295 bytes"},
		"pcapng whole":                {ngGood, 1, ""},
		"pcapng magic only":           {ng[:4], 0, "inside a block header"},
		"pcapng without byte order":   {append(bytes.Clone(ng[:8]), 1, 2, 3, 4, 5, 6, 7, 8), 0, "without its byte order"},
		"pcapng block cut":            {ngGood[:len(ngGood)-1], 0, "inside a block"},
		"pcapng ends differ":          {wrongEnd, 0, "ends with the length"},
		"pcapng length 8":             {append(bytes.Clone(ngGood), words(le, 6, 8, 0)...), 1, "a block says it has 8 bytes"},
		"pcapng length not whole":     {append(bytes.Clone(ngGood), words(le, 6, 33, 0)...), 1, "a block says it has 33 bytes"},
		"pcapng 4 GB packet":          {append(bytes.Clone(ngGood), words(le, 6, 0xfffffffc, 0)...), 1, "says it has 4294967292 bytes; the limit"},
		"pcapng 4 GB other":           {append(bytes.Clone(ngGood), words(le, 99, 0xfffffffc, 0)...), 1, "ends inside a block of 4294967292"},
		"pcapng unknown interface":    {append(bytes.Clone(ngGood), enhanced(le, 7, 1, "a", 1)...), 1, "interface 7; the section has 1"},
		"pcapng packet past block":    {append(bytes.Clone(ngGood), block(le, 6, words(le, 0, 0, 0, 99, 99))...), 1, "has room for 0"},
		"pcapng simple, no ifaces":    {append(section(le), block(le, 3, words(le, 0))...), 0, "interface 0; the section has 0"},
		"pcapng half an interface":    {append(section(le), block(le, 1, words(le, 1))...), 0, "interface description of 4"},
		"pcapng version 9":            {append(bytes.Clone(ng[:12]), append([]byte{9, 0}, ng[14:]...)...), 0, "version 9"},
		"pcapng interfaces forgotten": {append(append(bytes.Clone(ngGood), section(le)...), enhanced(le, 0, 1, "a", 1)...), 1, "the section has 0"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := readAll(c.in, capture.FileOptions{})
			if len(s) != c.packets {
				t.Errorf("%d packets, want %d", len(s), c.packets)
			}
			if c.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "x.pcap") {
				t.Fatalf("%v, want %q", err, c.want)
			}
			if !errs.Is(err, errs.Invalid) {
				t.Errorf("%v is not of kind invalid", err)
			}
		})
	}
}

// TestLengthIsNotAllocated reads a length of 4 GB and watches the memory.
func TestLengthIsNotAllocated(t *testing.T) {
	le := order(binary.LittleEndian)
	in := append(section(le), words(le, 99, 0xfffffffc, 0)...)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := readAll(in, capture.FileOptions{}); err == nil {
		t.Error("no error")
	}
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 16<<20 {
		t.Errorf("%d bytes were allocated", n)
	}
}

func TestOpenFileErrors(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := capture.OpenFile(t.Context(), filepath.Join(dir, "none.pcap"), capture.FileOptions{}); !errs.Is(err, errs.NotFound) {
		t.Errorf("missing file: %v", err)
	}
	if _, err := capture.OpenFile(t.Context(), dir, capture.FileOptions{}); err == nil || !strings.Contains(err.Error(), "folder") {
		t.Errorf("folder: %v", err)
	}
	path := filepath.Join(dir, "a.pcap")
	if err := os.WriteFile(path, pcapFile(binary.LittleEndian, 0xa1b2c3d4, 1, "x"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := capture.OpenFile(t.Context(), path, capture.FileOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var s sink
	if _, err := f.Read(&s, 0); !errors.Is(err, io.EOF) || len(s) != 1 {
		t.Errorf("%v, %d packets", err, len(s))
	}
	if _, err := f.Read(&s, 0); !errors.Is(err, io.EOF) {
		t.Errorf("after the end: %v", err)
	}
	if st, _ := f.Stats(); st.Received != 1 {
		t.Errorf("%+v", st)
	}
	if err := errors.Join(f.Close(), f.Close()); err != nil {
		t.Error(err)
	}
}

// TestWindows reads packets at 1, 2, 11, 9 (late), 35 s with windows of 10 s.
func TestWindows(t *testing.T) {
	t.Parallel()
	le := order(binary.LittleEndian)
	file := append(section(le), iface(le, 1, 0, option(le, 9, 0)...)...)
	for _, at := range []uint64{1, 2, 11, 9, 35} {
		file = append(file, enhanced(le, 0, at, fmt.Sprint(at), 2)...)
	}
	f, err := capture.NewFile(bytes.NewReader(file), "w", capture.FileOptions{Window: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	var seen []string
	for {
		var s sink
		_, err := f.Read(&s, 0)
		text := ""
		for _, p := range s {
			text += p.Data + " "
		}
		if end, ok := f.WindowDone(); ok {
			text += fmt.Sprintf("| %d", end.Unix())
		}
		seen = append(seen, text)
		if err != nil {
			break
		}
	}
	if diff := cmp.Diff([]string{"1 2 | 10", "11 9 | 20", "35 "}, seen); diff != "" {
		t.Error(diff)
	}
}

// TestBatches reads more records than one batch has: none is lost or comes
// twice, whether a window is set or not.
func TestBatches(t *testing.T) {
	t.Parallel()
	var packets []string
	for i := range 10_000 {
		packets = append(packets, fmt.Sprint(i))
	}
	file := pcapFile(binary.LittleEndian, 0xa1b23c4d, 1, packets...)
	for _, opts := range []capture.FileOptions{{}, {Window: time.Hour}, {Window: 7 * time.Second}} {
		f, err := capture.NewFile(bytes.NewReader(file), "b", opts)
		if err != nil {
			t.Fatal(err)
		}
		var all sink
		for err == nil {
			before := len(all)
			var n int
			n, err = f.Read(&all, 0)
			if n != len(all)-before || n > 4096 || opts.Window == 7*time.Second && n > 7 {
				t.Fatalf("%+v: a batch of %d, with %d packets", opts, n, len(all)-before)
			}
		}
		for i, p := range all {
			if p.Data != packets[i] {
				t.Fatalf("%+v: packet %d is %q", opts, i, p.Data)
			}
		}
		if st, _ := f.Stats(); len(all) != len(packets) || st.Read != uint64(len(packets)) {
			t.Errorf("%+v: %d packets, counted %d", opts, len(all), st.Read)
		}
	}
}

// FuzzFile checks that no input makes the reader hang, panic or hand over
// more than the input has.
func FuzzFile(f *testing.F) {
	for _, o := range orders {
		f.Add(pcapFile(o, 0xa1b2c3d4, 1, "abc", "defg"))
		f.Add(bytes.Join([][]byte{section(o), iface(o, 1, 0, option(o, 9, 0x8a)...), enhanced(o, 0, 1<<40, "abcd", 4),
			block(o, 3, append(words(o, 4), "abcd"...)), block(o, 99, make([]byte, 8))}, nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 1 && b[0] == 0x1f && b[1] == 0x8b {
			return // what comes out of a gzip file is longer than what goes in
		}
		s, _ := readAll(b, capture.FileOptions{Window: time.Second})
		n := 0
		for _, p := range s {
			n += len(p.Data)
			if p.TS < 0 || p.Wire < len(p.Data) {
				t.Errorf("%+v", p)
			}
		}
		if n > len(b) {
			t.Errorf("%d bytes of packets from %d", n, len(b))
		}
	})
}
