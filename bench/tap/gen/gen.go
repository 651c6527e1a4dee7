// Package gen writes a capture file of made-up traffic, the same one for the
// same seed: mixed, interleaved, with right checksums, and with what a tap
// has to read in it. It shares no code with the parsers that read it.
package gen

import (
	"bufio"
	"container/heap"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"time"
)

var (
	le = binary.LittleEndian
	be = binary.BigEndian
)

// Config says what is made.
type Config struct {
	Seed    uint64
	Packets int
	Flows   int           // conversations; an address pair with ports each
	Span    time.Duration // of the packets' times
}

// Default is the mix that the limits of the tap were set for.
func Default() Config {
	return Config{Seed: 42, Packets: 3_000_000, Flows: 150_000, Span: time.Minute}
}

// Count is how much of something a mix has.
type Count struct {
	Name string
	N    int
}

// Mix says what a file holds.
type Mix struct {
	Packets int
	Bytes   uint64
	Counts  []Count
}

// Fprint writes the mix as a table.
func (m *Mix) Fprint(w io.Writer) {
	fmt.Fprintf(w, "%d packets, %d bytes, %.0f on average\n", m.Packets, m.Bytes, float64(m.Bytes)/float64(m.Packets))
	for _, c := range m.Counts {
		fmt.Fprintf(w, "  %9d  %s\n", c.N, c.Name)
	}
}

// Version changes whenever the same seed gives another file.
const Version = 1

// base is the time of the first packet: 1 November 2025, 12:00.
const base = int64(1_761_998_400_000_000_000)

// WriteFile writes a pcap file with microseconds.
func WriteFile(path string, cfg Config) (*Mix, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	w := bufio.NewWriterSize(f, 4<<20)
	m, err := Write(w, cfg)
	if err == nil {
		err = w.Flush()
	}
	if closing := f.Close(); err == nil {
		err = closing
	}
	if err != nil {
		return nil, fmt.Errorf("writing the capture %s: %w", path, err)
	}
	return m, nil
}

// Write writes the capture to w.
func Write(w io.Writer, cfg Config) (*Mix, error) {
	g := newGenerator(cfg)
	g.plan()
	head := le.AppendUint32(nil, 0xa1b2c3d4)
	for _, v := range []uint32{2 | 4<<16, 0, 0, 262144, 1} {
		head = le.AppendUint32(head, v)
	}
	if _, err := w.Write(head); err != nil {
		return nil, err
	}
	var live queue
	next, record := 0, make([]byte, 16)
	for next < len(g.plans) || len(live) > 0 {
		for next < len(g.plans) && (len(live) == 0 || g.plans[next].start <= live[0].at) {
			heap.Push(&live, g.open(&g.plans[next]))
			next++
		}
		t := live[0]
		frame := t.take()
		le.PutUint32(record, uint32(t.at/1e9))
		le.PutUint32(record[4:], uint32(t.at%1e9/1e3))
		le.PutUint32(record[8:], uint32(len(frame)))
		le.PutUint32(record[12:], uint32(len(frame)))
		if _, err := w.Write(record); err != nil {
			return nil, err
		}
		if _, err := w.Write(frame); err != nil {
			return nil, err
		}
		g.mix.Packets++
		g.mix.Bytes += uint64(len(frame))
		if t.more() {
			heap.Fix(&live, 0)
		} else {
			heap.Pop(&live)
		}
	}
	g.count()
	return &g.mix, nil
}

// queue holds the conversations that go on, the next packet first.
type queue []*talk

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].at < q[j].at }
func (q queue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }

// Push implements heap.Interface.
func (q *queue) Push(x any) { *q = append(*q, x.(*talk)) }

// Pop implements heap.Interface.
func (q *queue) Pop() any {
	n := len(*q) - 1
	t := (*q)[n]
	(*q)[n], *q = nil, (*q)[:n]
	return t
}
