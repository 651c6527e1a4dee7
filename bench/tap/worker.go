package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/capture"
	"github.com/rind-project/rind/internal/network/packet"
	"github.com/rind-project/rind/internal/network/pipeline"
	"github.com/rind-project/rind/internal/network/report"
)

const (
	minSpeedup = 1.6 // of two workers over one
	maxCost    = 1.2 // CPU per packet of two workers over one's
)

// scaling compares one worker, which reads the whole capture, with two, each
// of which reads its half of the flows, as the kernel deals packets out to the
// workers of an interface.
func scaling(ctx context.Context, o *options, path string) error {
	halves, err := split(path)
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	var speedups, costs []float64
	for round := range o.rounds {
		one, err := workers(ctx, self, path)
		if err != nil {
			return err
		}
		two, err := workers(ctx, self, halves...)
		if err != nil {
			return err
		}
		speedups = append(speedups, one.wall.Seconds()/two.wall.Seconds())
		costs = append(costs, two.cpu.Seconds()/one.cpu.Seconds())
		fmt.Printf("round %d: one worker %.2fs, CPU %.2fs; two %.2fs, CPU %.2fs\n", round+1, one.wall.Seconds(), one.cpu.Seconds(), two.wall.Seconds(), two.cpu.Seconds())
	}
	slices.Sort(speedups)
	slices.Sort(costs)
	speedup, cost := speedups[len(speedups)/2], costs[len(costs)/2]
	result("scaling", speedup, minSpeedup, "")
	result("scaling-cpu", cost, maxCost, "")
	if speedup < minSpeedup || cost > maxCost {
		return fmt.Errorf("two workers are %.2f times as fast as one for %.2f times the CPU per packet; wanted are %g and at most %g", speedup, cost, minSpeedup, maxCost)
	}
	return nil
}

// workers runs this program as so many workers as there are files, and returns
// what they needed from the first packet to the last report.
func workers(ctx context.Context, self string, files ...string) (s spent, err error) {
	out, err := exec.CommandContext(ctx, self, append([]string{"-worker", fmt.Sprint(len(files))}, files...)...).Output()
	if err != nil {
		return s, fmt.Errorf("running workers: %w", err)
	}
	_, err = fmt.Sscanf(string(out), "%d %d", &s.wall, &s.cpu)
	return s, err
}

// worker reads each file with a worker of its own, as rind-tap has them: a
// pipeline and an encoder each, nothing shared.
func worker(files []string, n int) error {
	if len(files) != n {
		return fmt.Errorf("%d workers for %d files", n, len(files))
	}
	pipes, encoders := make([]*pipeline.Pipeline, n), make([]*report.Encoder, n)
	for i := range files {
		var err error
		pipes[i] = pipeline.New(pipeline.Config{Interface: files[i], MaxFlows: 262144 / n})
		if encoders[i], err = report.NewEncoder(); err != nil {
			return err
		}
	}
	failures := make([]error, n)
	began, before := time.Now(), ownCPU()
	var all sync.WaitGroup
	for i := range files {
		all.Go(func() { failures[i] = work(files[i], pipes[i], encoders[i]) })
	}
	all.Wait()
	fmt.Printf("%d %d\n", time.Since(began), ownCPU()-before)
	return errors.Join(failures...)
}

func work(path string, p *pipeline.Pipeline, e *report.Encoder) error {
	f, err := capture.OpenFile(context.Background(), path, capture.FileOptions{Window: 10 * time.Second})
	if err != nil {
		return err
	}
	defer f.Close()
	return pipeline.ReadFile(context.Background(), f, p, func(r network.Report) error {
		r.Identity = network.Identity{Tap: "bench", Boot: boot, Sequence: 1}
		for _, part := range report.Split(&r, 50_000) {
			part.Identity = r.Identity
			if _, err := e.Encode(part); err != nil {
				return err
			}
		}
		p.Reuse(&r)
		return nil
	})
}

const boot = "01890a5d-ac96-774b-bcce-b302099a8057"

// split deals the packets of a capture out to two files by a hash that is the
// same for both directions of a flow. What is no IP goes to the first.
func split(path string) ([]string, error) {
	base := strings.TrimSuffix(path, ".pcap")
	halves := []string{base + ".half0.pcap", base + ".half1.pcap"}
	if _, err := os.Stat(halves[1]); err == nil {
		for _, h := range halves {
			if err := warm(h); err != nil {
				return nil, err
			}
		}
		return halves, nil
	}
	in, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	var outs [2]*bufio.Writer
	for i := range outs {
		f, err := os.Create(filepath.Clean(halves[i] + ".tmp"))
		if err != nil {
			return nil, err
		}
		defer f.Close()
		outs[i] = bufio.NewWriterSize(f, 1<<20)
	}
	if err := deal(bufio.NewReaderSize(in, 1<<20), outs); err != nil {
		return nil, fmt.Errorf("splitting %s: %w", path, err)
	}
	for _, h := range halves {
		if err := os.Rename(h+".tmp", h); err != nil {
			return nil, err
		}
	}
	return halves, nil
}

func deal(in io.Reader, outs [2]*bufio.Writer) error {
	head := make([]byte, 24)
	if _, err := io.ReadFull(in, head); err != nil {
		return err
	}
	for _, w := range outs {
		if _, err := w.Write(head); err != nil {
			return err
		}
	}
	var d packet.Decoder
	var p packet.Packet
	record := make([]byte, 16+1<<18)
	for {
		if _, err := io.ReadFull(in, record[:16]); err != nil {
			if errors.Is(err, io.EOF) {
				return errors.Join(outs[0].Flush(), outs[1].Flush())
			}
			return err
		}
		n := int(binary.LittleEndian.Uint32(record[8:]))
		if _, err := io.ReadFull(in, record[16:16+n]); err != nil {
			return err
		}
		half := 0
		if d.Decode(packet.LinkEthernet, record[16:16+n], n, &p) == packet.IP {
			sum := p.Src.Hi + p.Src.Lo + p.Dst.Hi + p.Dst.Lo
			if !p.Fragment {
				sum += uint64(p.SrcPort) + uint64(p.DstPort)
			}
			half = int(sum * 0x9e3779b97f4a7c15 >> 63)
		}
		if _, err := outs[half].Write(record[:16+n]); err != nil {
			return err
		}
	}
}
