package gen

import (
	"bytes"
	"testing"
	"time"
)

// TestWriteTwice makes a small capture twice: the same bytes, with as many
// packets as were asked for, in the order of their times.
func TestWriteTwice(t *testing.T) {
	t.Parallel()
	cfg := Config{Seed: 7, Packets: 20_000, Flows: 1000, Span: 10 * time.Second}
	var files [2]bytes.Buffer
	for i := range files {
		m, err := Write(&files[i], cfg)
		if err != nil || m.Packets != cfg.Packets {
			t.Fatalf("%d packets (%v), want %d", m.Packets, err, cfg.Packets)
		}
	}
	if !bytes.Equal(files[0].Bytes(), files[1].Bytes()) {
		t.Error("the same seed gives two captures")
	}
	packets, before := 0, uint64(0)
	for b := files[0].Bytes()[24:]; len(b) > 0; packets++ {
		at := uint64(le.Uint32(b))*1e6 + uint64(le.Uint32(b[4:]))
		if at < before {
			t.Fatalf("packet %d is older than the one before it", packets)
		}
		before = at
		b = b[16+le.Uint32(b[8:]):]
	}
	if packets != cfg.Packets {
		t.Errorf("%d packets in the file, want %d", packets, cfg.Packets)
	}
}
