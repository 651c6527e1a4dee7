package capture_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/network/capture"
	"github.com/rind-project/rind/internal/network/packet"
	"github.com/rind-project/rind/internal/network/packet/packettest"
)

// clocked notes when each packet came.
type clocked struct {
	began time.Time
	at    []time.Duration
}

// Packet implements capture.Handler.
func (c *clocked) Packet(int64, packet.LinkType, []byte, int) {
	c.at = append(c.at, time.Since(c.began))
}

// TestReplay reads packets of the seconds 0 to 4 at several speeds.
func TestReplay(t *testing.T) {
	t.Parallel()
	in := pcapFile(binary.LittleEndian, 0xa1b23c4d, 1, "a", "b", "c", "d", "e")
	for speed, step := range map[float64]time.Duration{0: 0, 1: time.Second, 10: 100 * time.Millisecond, 0.5: 2 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			f, err := capture.NewFile(bytes.NewReader(in), "x", capture.FileOptions{Speed: speed, Window: 2 * time.Second})
			if err != nil {
				t.Fatal(err)
			}
			c := clocked{began: time.Now()}
			windows := 0
			for err == nil {
				began := time.Now()
				if _, err = f.Read(&c, 0); time.Since(began) > 100*time.Millisecond {
					t.Errorf("one read took %s", time.Since(began))
				}
				if _, done := f.WindowDone(); done {
					windows++
				}
			}
			if !errors.Is(err, io.EOF) || len(c.at) != 5 || windows != 2 {
				t.Fatalf("%d packets, %d windows, %v", len(c.at), windows, err)
			}
			for i, at := range c.at {
				if want := time.Duration(i) * step; at < want || at > want+60*time.Millisecond {
					t.Errorf("speed %v: packet %d came after %s, want %s", speed, i, at, want)
				}
			}
		})
	}
}

func TestFileFilter(t *testing.T) {
	t.Parallel()
	var frames []string
	for _, f := range packettest.Mix(9, 500) {
		frames = append(frames, string(f.Data))
	}
	in := pcapFile(binary.LittleEndian, 0xa1b2c3d4, 1, frames...)
	read := func(expr string, in []byte) (sink, capture.Stats, error) {
		f, err := capture.NewFile(bytes.NewReader(in), "x.pcap", capture.FileOptions{Filter: expr})
		if err != nil {
			return nil, capture.Stats{}, err
		}
		var s sink
		for err == nil {
			_, err = f.Read(&s, 0)
		}
		st, _ := f.Stats()
		return s, st, err
	}
	udp, st, err := read("udp", in)
	if !errors.Is(err, io.EOF) || len(udp) == 0 || st.Received != uint64(len(udp)) || st.Received+st.Filtered != uint64(len(frames)) {
		t.Errorf("udp: %d packets, %+v, %v", len(udp), st, err)
	}
	rest, _, _ := read("not udp", in)
	if len(udp)+len(rest) > len(frames) || len(rest) == 0 {
		t.Errorf("udp %d, not udp %d, of %d", len(udp), len(rest), len(frames))
	}
	if _, _, err := read("udp prt", in); !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), "column 5") {
		t.Errorf("a mistake: %v", err)
	}
	wireless := pcapFile(binary.LittleEndian, 0xa1b2c3d4, 127, "abc")
	if s, _, err := read("udp", wireless); len(s) > 0 || err == nil || !strings.Contains(err.Error(), "link type") {
		t.Errorf("a link type that cannot be filtered: %d packets, %v", len(s), err)
	}
}
