package filter_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rind-project/rind/internal/network/capture"
	"github.com/rind-project/rind/internal/network/capture/filter"
	"github.com/rind-project/rind/internal/network/packet"
	"github.com/rind-project/rind/internal/network/packet/packettest"
)

type frame struct {
	data string
	wire int
}

// frames keeps the packets of captures by link type.
type frames map[packet.LinkType][]frame

// Packet implements capture.Handler.
func (f frames) Packet(_ int64, link packet.LinkType, data []byte, wire int) {
	f[link] = append(f[link], frame{string(data), wire})
}

// read adds the packets of a capture, up to its damage if it has one.
func (f frames) read(t *testing.T, path string) {
	t.Helper()
	file, err := capture.OpenFile(context.Background(), path, capture.FileOptions{})
	if err != nil {
		t.Logf("%s: %v", path, err)
		return
	}
	defer file.Close()
	for err == nil {
		_, err = file.Read(f, 0)
	}
	if !errors.Is(err, io.EOF) {
		t.Logf("%s: %v", path, err)
	}
}

// corpus lists the captures beside the repository.
func corpus(t *testing.T) (files []string) {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		if dir == filepath.Dir(dir) {
			t.Fatal("no go.mod above the package")
		}
		dir = filepath.Dir(dir)
	}
	root := filepath.Join(filepath.Dir(dir), "shared", "pcaps")
	err = filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			switch filepath.Ext(path) {
			case ".pcap", ".cap", ".pcapng", ".gz":
				files = append(files, path)
			}
		}
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Skipf("no captures in %s: the test needs them", root)
	}
	return files
}

// pcap writes packets into a file, each at the second that is its number.
func pcap(t *testing.T, link packet.LinkType, all []frame) string {
	t.Helper()
	le := binary.LittleEndian
	b := le.AppendUint32(nil, 0xa1b2c3d4)
	b = append(b, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	b = le.AppendUint32(le.AppendUint32(b, 262144), uint32(link))
	for i, f := range all {
		b = le.AppendUint32(le.AppendUint32(b, uint32(i+1)), 0)
		b = le.AppendUint32(le.AppendUint32(b, uint32(len(f.data))), uint32(f.wire))
		b = append(b, f.data...)
	}
	path := filepath.Join(t.TempDir(), "all.pcap")
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// numbers keeps which packets were selected.
type numbers map[int]bool

// Packet implements capture.Handler.
func (n numbers) Packet(ts int64, _ packet.LinkType, _ []byte, _ int) { n[int(ts/1e9)-1] = true }

// tcpdump returns the packets that tcpdump selects, or what it says against
// the expression.
func tcpdump(t *testing.T, path, expr string, more ...string) (numbers, string) {
	t.Helper()
	cmd := exec.Command("tcpdump", append(more, "-n", "-r", path, "-w", "-", expr)...)
	var told bytes.Buffer
	cmd.Stderr = &told
	out, err := cmd.Output()
	switch {
	case strings.Contains(told.String(), "expression rejects all packets"):
		return numbers{}, ""
	case err != nil:
		return nil, told.String()
	}
	f, err := capture.NewFile(bytes.NewReader(out), "tcpdump", capture.FileOptions{})
	if err != nil {
		t.Fatal(err)
	}
	selected := numbers{}
	for err == nil {
		_, err = f.Read(selected, 0)
	}
	if !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	return selected, ""
}

// compare puts every expression to tcpdump and to ours, over all packets of a
// link type.
func compare(t *testing.T, link packet.LinkType, all []frame) {
	t.Helper()
	if _, err := exec.LookPath("tcpdump"); err != nil {
		t.Skip("tcpdump is not installed: the test compares with it")
	}
	path := pcap(t, link, all)
	useful, order := 0, 0
	for _, expr := range expressions {
		want, refused := tcpdump(t, path, expr)
		p, err := filter.Compile(expr, filter.Options{Link: link})
		if (err != nil) != (want == nil) {
			t.Errorf("%s, %q: ours says %v, tcpdump %q", link, expr, err, refused)
		}
		if err != nil || want == nil {
			continue
		}
		var plain numbers
		wrong := 0
		for i, f := range all {
			if got := p.Match([]byte(f.data), f.wire); got != want[i] {
				// A packet that was cut off inside its headers is refused where the first
				// byte is missing, and tcpdump's optimiser changes which that is.
				if plain == nil {
					plain, _ = tcpdump(t, path, expr, "-O")
				}
				if len(f.data) < f.wire && got == plain[i] {
					order++
					continue
				}
				if wrong++; wrong == 1 {
					t.Errorf("%s, %q: packet %d is selected by ours: %v, by tcpdump: %v: %x", link, expr, i, got, want[i], f.data[:min(len(f.data), 80)])
				}
			}
		}
		if wrong > 1 {
			t.Errorf("%s, %q: %d packets differ", link, expr, wrong)
		}
		if len(want) > 0 && len(want) < len(all) {
			useful++
		}
	}
	t.Logf("%s: %d packets; %d of %d expressions select some and not all; %d packets, cut off, differ by tcpdump's optimiser", link, len(all), useful, len(expressions), order)
	if useful < 10 {
		t.Errorf("%s: only %d expressions tell packets apart", link, useful)
	}
}

// filtered are the link types that a filter can be compiled for.
var filtered = []packet.LinkType{packet.LinkEthernet, packet.LinkLinuxSLL, packet.LinkLinuxSLL2, packet.LinkRaw,
	packet.LinkIPv4, packet.LinkIPv6, packet.LinkLoopback, packet.LinkLoop}

// TestCorpusAsTcpdump compares in every packet of every capture.
func TestCorpusAsTcpdump(t *testing.T) {
	t.Parallel()
	all := frames{}
	for _, path := range corpus(t) {
		all.read(t, path)
	}
	for _, link := range filtered {
		if len(all[link]) > 0 {
			t.Run(link.String(), func(t *testing.T) {
				t.Parallel()
				compare(t, link, all[link])
			})
		}
	}
	if len(all[packet.LinkEthernet]) < 1000 {
		t.Errorf("%d Ethernet packets in the captures", len(all[packet.LinkEthernet]))
	}
}

// TestGeneratedAsTcpdump compares in generated packets, on every link type.
func TestGeneratedAsTcpdump(t *testing.T) {
	t.Parallel()
	all := generated()
	for _, link := range filtered {
		t.Run(strconv.Itoa(int(link)), func(t *testing.T) {
			t.Parallel()
			var put []frame
			for _, f := range all {
				if f, ok := onLink(link, f); ok {
					put = append(put, f)
				}
			}
			compare(t, link, put)
		})
	}
}

// generated is a mix, with tags and labels of its own, and packets cut short.
func generated() (all []frame) {
	var be = binary.BigEndian
	for i, f := range packettest.Mix(11, 3000) {
		b := f.Data
		wire := len(b)
		switch i % 20 {
		case 1: // one more tag
			b = append(append(bytes.Clone(b[:12]), 0x88, 0xa8, 0, byte(100+i%3)), b[12:]...)
		case 2: // labels
			if len(b) > 20 && b[12] == 8 && b[13] == 0 || len(b) > 20 && b[12] == 0x86 {
				label := be.AppendUint32([]byte{0x88, 0x47}, uint32(16+i%5)<<12|0x140)
				if i%3 == 0 {
					label = be.AppendUint32(be.AppendUint32([]byte{0x88, 0x47}, 100<<12|0x40), 18<<12|0x140)
				}
				b = append(append(bytes.Clone(b[:12]), label...), b[14:]...)
			}
		case 3: // snapped
			b = b[:min(len(b), 14+i%60)]
		case 4: // a later fragment
			if len(b) > 34 && b[12] == 8 && b[13] == 0 {
				b = bytes.Clone(b)
				b[21] = 99
			}
		case 5: // options
			if len(b) > 34 && b[12] == 8 && b[13] == 0 {
				b = append(append(bytes.Clone(b[:34]), 1, 1, 1, 1), b[34:]...)
				b[14] = 0x46
			}
		case 6: // LLC, and a fragment header of IPv6
			b = append(append(bytes.Clone(b[:12]), 0, 60, 0x42, 0x42, 3), make([]byte, 57)...)
			if i%40 == 6 && len(f.Data) > 60 && f.Data[12] == 0x86 {
				b = append(append(bytes.Clone(f.Data[:54]), f.Data[20], 0, 0, 0, 0, 0, 0, 1), f.Data[54:]...)
				b[20] = 44
			}
		case 7: // to everybody
			b = append([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, b[6:]...)
		}
		all = append(all, frame{string(b), max(wire, len(b))})
	}
	return all
}

// onLink gives an Ethernet frame the header of another link type; ok is false
// when that cannot carry it.
func onLink(link packet.LinkType, f frame) (_ frame, ok bool) {
	if link == packet.LinkEthernet {
		return f, true
	}
	if len(f.data) < 14 {
		return f, false
	}
	typ, body := f.data[12:14], f.data[14:]
	head := ""
	// 28 is FreeBSD's number of IPv6; that of Linux tcpdump does not know in files.
	family := map[string]byte{"\x08\x00": 2, "\x86\xdd": 28}[typ]
	switch link {
	case packet.LinkLinuxSLL:
		head = "\x00\x00\x00\x01\x00\x06" + f.data[6:12] + "\x00\x00" + typ
	case packet.LinkLinuxSLL2:
		head = typ + "\x00\x00\x00\x00\x00\x01\x00\x01\x00\x06" + f.data[6:12] + "\x00\x00"
	case packet.LinkLoopback:
		head = string([]byte{family, 0, 0, 0})
	case packet.LinkLoop:
		head = string([]byte{0, 0, 0, family})
	case packet.LinkIPv4:
		ok = family == 2
	case packet.LinkIPv6:
		ok = family == 28
	}
	if ok = ok || head != "" || link == packet.LinkRaw; family == 0 && head != "" && len(head) == 4 {
		ok = false
	}
	return frame{head + body, len(head) + f.wire - 14}, ok
}
