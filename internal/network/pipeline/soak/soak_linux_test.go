package soak

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"reflect"
	"runtime"
	"runtime/debug"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/capture"
	"github.com/rind-project/rind/internal/network/packet"
	"github.com/rind-project/rind/internal/network/pipeline"
	"github.com/rind-project/rind/internal/network/record"
	"github.com/rind-project/rind/internal/network/report"
)

const (
	rounds  = 24                     // of one pipeline
	maxHeap = 96 << 20               // bytes that one pipeline and its report may hold after them
	maxOne  = 250 * time.Millisecond // of CPU for one packet
	maxMean = 100 * time.Microsecond // and for one on average
)

// TestSoak puts mutated captures through pipelines with every parser on, and
// their reports through the wire format and JSON: nothing panics, every ledger
// adds up to the packets that were given, memory after a collection and the
// CPU time of each packet stay bounded. With RIND_NIGHTLY=1 it takes ten
// minutes from a seed of the clock. RIND_SEED is another seed, RIND_SOAK another
// duration, and RIND_SOAK_FROM the pipeline to begin with, as a failure names it.
func TestSoak(t *testing.T) {
	seed, lasts, first := uint64(1), time.Duration(0), uint64(0)
	var err error
	if os.Getenv("RIND_NIGHTLY") == "1" {
		seed, lasts = uint64(time.Now().Unix()), 10*time.Minute
	}
	if text := os.Getenv("RIND_SOAK"); text != "" && err == nil {
		lasts, err = time.ParseDuration(text)
	}
	if text := os.Getenv("RIND_SEED"); text != "" && err == nil {
		seed, err = strconv.ParseUint(text, 10, 64)
	}
	if text := os.Getenv("RIND_SOAK_FROM"); text != "" && err == nil {
		first, err = strconv.ParseUint(text, 10, 64)
	}
	if err != nil {
		t.Fatal(err)
	}
	runtime.LockOSThread() // the CPU time is the thread's
	defer runtime.UnlockOSThread()
	s := &soak{T: t, seed: seed, all: corpus(t), parsers: map[string]network.ParserHealth{}}
	s.base = heap()
	t.Logf("seed %d, %d captures", seed, len(s.all))
	few := uint64(200)
	if testing.Short() {
		few = 20
	}
	began := time.Now()
	for n := first; !t.Failed() && (time.Since(began) < lasts || lasts == 0 && n < first+few); n++ {
		s.pipeline(n)
	}
	s.tell(time.Since(began))
}

// soak is one run and what it has seen.
type soak struct {
	*testing.T
	seed uint64
	all  []*trace
	base uint64 // bytes of the heap before

	p       *pipeline.Pipeline
	encoder *report.Encoder
	sum     network.Ledger // of the pipeline in hand
	flows   uint64         // packets in its flows
	given   uint64         // packets that it was given
	bytes   uint64

	pipelines, packets, malformed, dropped, evicted, reports, encoded, rows, damaged uint64

	cpu, worst time.Duration
	slow       string // the packet that took longest
	most       uint64 // bytes of the heap
	parsers    map[string]network.ParserHealth
}

// heap returns the bytes in use after a collection.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func threadTime(t *testing.T) time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts); err != nil {
		t.Fatal(err)
	}
	return time.Duration(ts.Nano())
}

// Packet implements capture.Handler: the pipeline's, with a clock.
func (s *soak) Packet(ts int64, link packet.LinkType, data []byte, wireLen int) {
	s.given++
	s.bytes += uint64(max(wireLen, len(data)))
	before := threadTime(s.T)
	s.p.Packet(ts, link, data, wireLen)
	d := threadTime(s.T) - before
	s.cpu += d
	if d > s.worst {
		s.worst, s.slow = d, fmt.Sprintf("link type %d, %d bytes: %x", link, len(data), data[:min(len(data), 200)])
	}
	if d > maxOne {
		s.Errorf("a packet took %s of CPU: %s", d, s.slow)
	}
}

// Expect implements capture.Expecter.
func (s *soak) Expect(link packet.LinkType, frames [][]byte) { s.p.Expect(link, frames) }

// pipeline runs one pipeline over some mutated captures, checks it, and takes
// its memory's measure while it is there.
func (s *soak) pipeline(n uint64) {
	m := &mutator{rand.New(rand.NewPCG(s.seed, n)), s.all}
	round := 0
	again := func(cause any) {
		s.Fatalf("RIND_SEED=%d RIND_SOAK_FROM=%d, round %d: %v\n%s", s.seed, n, round, cause, debug.Stack())
	}
	defer func() {
		if cause := recover(); cause != nil {
			again(cause)
		}
	}()
	var said bytes.Buffer
	cfg := pipeline.Config{Interface: "soak", MaxFlows: 16384, Log: slog.New(slog.NewTextHandler(&said, nil))}
	if m.IntN(2) == 0 { // everything is full now and then
		cfg = pipeline.Config{Interface: "soak", MaxFlows: 1024, MaxRows: 256, MaxText: 1 << 16, MaxFlowRows: 20, MaxStreams: 64, MaxHeld: 1 << 17, Log: cfg.Log}
	}
	s.p, s.sum, s.flows, s.given, s.bytes = pipeline.New(cfg), network.Ledger{}, 0, 0, 0
	if s.encoder == nil {
		var err error
		if s.encoder, err = report.NewEncoder(); err != nil {
			s.Fatal(err)
		}
	}
	for round = range rounds {
		frames := m.spoil(s.all[m.IntN(len(s.all))])
		if m.IntN(3) == 0 {
			s.file(m.file(frames))
		} else {
			s.live(frames)
		}
	}
	used := heap() - s.base
	s.most = max(s.most, used)
	s.take(s.p.Finish(s.p.Latest()))
	s.check()
	s.pipelines++
	s.packets += s.given
	s.malformed, s.dropped, s.evicted = s.malformed+s.sum.Malformed, s.dropped+s.sum.DroppedPipeline, s.evicted+s.p.Counters().Flows.Evicted
	if int64(used) > maxHeap {
		s.Errorf("%d bytes of memory are in use, %d may be", used, maxHeap)
	}
	if s.Failed() {
		again("see above\n" + said.String())
	}
	s.p = nil
}

// live gives packets as an interface does, and cuts a report now and then.
func (s *soak) live(frames []frame) {
	for i, f := range frames {
		s.Packet(f.ts, f.link, f.data, f.wire)
		if i%700 == 699 || s.p.Due() {
			s.take(s.p.Cut(s.p.Latest()))
		}
	}
}

// file reads a capture file, as far as it can be read, with reports cut as the
// tap cuts them, but for the last.
func (s *soak) file(b []byte) {
	f, err := capture.NewFile(bytes.NewReader(b), "soak.pcap", capture.FileOptions{Window: 10 * time.Second})
	for cuts := 0; err == nil; {
		_, err = f.Read(s, 0)
		end, done := f.WindowDone()
		if done = done && cuts < 100; done || s.p.Due() {
			s.take(s.p.Cut(end))
			cuts++
		}
	}
	if errors.Is(err, io.EOF) {
		return
	}
	s.damaged++
	if errs.KindOf(err) != errs.Invalid {
		s.Errorf("a damaged file gives the error %v", err)
	}
}

// take checks a report and sends it through the wire format and back.
func (s *soak) take(r network.Report) {
	l := r.Interfaces[0]
	if !l.Balanced() {
		s.Errorf("the ledger %+v does not add up", l)
	}
	s.sum.Received += l.Received
	s.sum.Bytes += l.Bytes
	s.sum.Summarised += l.Summarised
	s.sum.Malformed += l.Malformed
	s.sum.DroppedPipeline += l.DroppedPipeline
	for i := range r.Flows {
		s.flows += r.Flows[i].SrcPkts + r.Flows[i].DstPkts
	}
	r.Identity = network.Identity{Tap: "soak", Boot: "b", Sequence: s.reports + 1}
	got := s.round(&r)
	if got == nil {
		return
	}
	for _, n := range [][2]int{{len(r.Flows), len(got.Flows)}, {len(r.DNS), len(got.DNS)}, {len(r.TLS), len(got.TLS)}, {record.Count(&r.Records), record.Count(&got.Records)}} {
		s.rows += uint64(n[0])
		if n[0] != n[1] {
			s.Errorf("of %d rows %d are left after encoding", n[0], n[1])
		}
	}
	// What an encoding leaves as it is, a second one does not change either.
	if again := s.round(got); again != nil && !reflect.DeepEqual(got, again) {
		s.Errorf("a decoded report is another one after it was encoded again:\n%+v\n%+v", got, again)
	}
	if s.reports++; s.reports%8 == 0 {
		s.json(got)
	}
}

func (s *soak) round(r *network.Report) *network.Report {
	b, err := s.encoder.Encode(r)
	if err != nil {
		s.Errorf("encoding: %v", err)
		return nil
	}
	got, err := report.Decode(b, report.DefaultLimits())
	if err != nil {
		s.Errorf("decoding what was encoded: %v", err)
		return nil
	}
	s.encoded += uint64(len(b))
	return got
}

func (s *soak) json(r *network.Report) {
	b, err := json.Marshal(r)
	var got network.Report
	if err == nil {
		err = json.Unmarshal(b, &got)
	}
	if err != nil {
		s.Errorf("the JSON form: %v", err)
	} else if !reflect.DeepEqual(r, &got) {
		s.Errorf("the JSON form is of another report:\n%+v\n%+v", r, &got)
	}
}

// check compares what the reports of a pipeline say with what it was given.
func (s *soak) check() {
	c := s.p.Counters()
	if s.sum.Received != s.given || s.sum.Bytes != s.bytes {
		s.Errorf("%d packets, %d bytes were given; the ledgers say %d, %d", s.given, s.bytes, s.sum.Received, s.sum.Bytes)
	}
	frames := c.OtherTypes + c.WiFi.Frames - c.WiFi.Aggregated
	for _, n := range c.EtherTypes {
		frames += n
	}
	if s.flows+frames != s.sum.Summarised {
		s.Errorf("%d packets are summarised, %d in flows and %d in counters", s.sum.Summarised, s.flows, frames)
	}
	reasons := c.WiFi.Malformed
	for _, n := range c.Malformed {
		reasons += n
	}
	if reasons != s.sum.Malformed || c.Panicked != 0 {
		s.Errorf("%d packets are malformed, %d have a reason, %d made a parser panic", s.sum.Malformed, reasons, c.Panicked)
	}
	if c.Flows.Active != 0 || c.Streams != 0 || c.HeldBytes != 0 {
		s.Errorf("after the last report there are %d flows, %d streams and %d bytes of them", c.Flows.Active, c.Streams, c.HeldBytes)
	}
	for _, p := range c.Parsers {
		h := s.parsers[p.Name]
		h.Name, h.Recognised, h.Transactions = p.Name, h.Recognised+p.Recognised, h.Transactions+p.Transactions
		h.Malformed, h.LeftOut, h.Panics = h.Malformed+p.Malformed, h.LeftOut+p.LeftOut, h.Panics+p.Panics
		s.parsers[p.Name] = h
	}
}

// tell says what was run, and checks what is true of all of it.
func (s *soak) tell(took time.Duration) {
	mean := s.cpu / time.Duration(max(s.packets, 1))
	s.Logf("%s: %d pipelines, %d packets (%d malformed, %d without a place), %d files damaged, %d flows evicted, %d reports, %d rows, %d bytes encoded",
		took.Round(time.Millisecond), s.pipelines, s.packets, s.malformed, s.dropped, s.damaged, s.evicted, s.reports, s.rows, s.encoded)
	s.Logf("heap after a collection at most %.1f MiB above the captures", float64(s.most)/(1<<20))
	s.Logf("CPU per packet %s on average, %s at most, for %s", mean, s.worst, s.slow)
	if mean > maxMean {
		s.Errorf("a packet takes %s of CPU on average, %s may be", mean, maxMean)
	}
	for _, name := range pipeline.Parsers() {
		h := s.parsers[name]
		s.Logf("  %-10s %9d recognised %9d rows %9d malformed %9d left out, %d panics", cmp.Or(h.Name, name), h.Recognised, h.Transactions, h.Malformed, h.LeftOut, h.Panics)
	}
}
