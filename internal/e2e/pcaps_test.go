package e2e

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// damagedCaptures are the files of ../shared/pcaps that are really damaged, by
// their path there, and what the one error has to say of each.
var damagedCaptures = map[string]string{
	"aircrack-ng/pmkid-not-recognized.cap": "damaged at byte 1432616: the file ends inside a record", // its last record is cut off
}

// ledger is one interface's in a report of `rind-tap read --json`.
type ledger struct {
	Interface string
	Received, Summarised, Malformed,
	Bytes uint64
	DroppedKernel     uint64 `json:"dropped_kernel"`
	DroppedPipeline   uint64 `json:"dropped_pipeline"`
	HeldFragments     uint64 `json:"held_fragments"`
	ReleasedFragments uint64 `json:"released_fragments"`
}

func (l ledger) check() error {
	in := l.Received + l.ReleasedFragments
	out := l.Summarised + l.DroppedKernel + l.DroppedPipeline + l.Malformed + l.HeldFragments
	if in != out {
		return fmt.Errorf("%d received and released, %d accounted for: %+v", in, out, l)
	}
	return nil
}

// readJSON sums up the ledgers that `rind-tap read --json` wrote, per file,
// and checks every one of them.
func readJSON(t *testing.T, out string) map[string]ledger {
	t.Helper()
	sums := map[string]ledger{}
	for decode := json.NewDecoder(strings.NewReader(out)); ; {
		var r struct {
			Sequence   uint64
			Interfaces []ledger
			Flows      []flow
		}
		err := decode.Decode(&r)
		if errors.Is(err, io.EOF) {
			return sums
		}
		if err != nil {
			t.Fatalf("the reports are no JSON: %v", err)
		}
		var counted uint64
		for _, l := range r.Interfaces {
			if err := l.check(); err != nil {
				t.Errorf("report %d does not add up: %v", r.Sequence, err)
			}
			sum := sums[l.Interface]
			sum.Received += l.Received
			sum.Summarised += l.Summarised
			sum.Malformed += l.Malformed
			sum.DroppedPipeline += l.DroppedPipeline
			sum.Bytes += l.Bytes
			sums[l.Interface] = sum
			counted += l.Summarised
		}
		var inFlows uint64
		for _, f := range r.Flows {
			inFlows += f.SrcPkts + f.DstPkts
		}
		if inFlows > counted {
			t.Errorf("report %d: its flows have %d packets and its ledger only %d", r.Sequence, inFlows, counted)
		}
	}
}

// records counts the records of a capture, and their bytes on the wire, with
// a reader that is not ours.
func records(t *testing.T, path string) (n, size uint64) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.HasPrefix(b, []byte{0x1f, 0x8b}) {
		z, err := gzip.NewReader(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		if b, err = io.ReadAll(z); err != nil {
			t.Fatal(err)
		}
	}
	var next func() ([]byte, gopacket.CaptureInfo, error)
	if bytes.HasPrefix(b, []byte{0x0a, 0x0d, 0x0d, 0x0a}) {
		r, err := pcapgo.NewNgReader(bytes.NewReader(b), pcapgo.NgReaderOptions{WantMixedLinkType: true})
		if err != nil {
			t.Fatalf("%s: the independent reader says: %v", path, err)
		}
		next = r.ReadPacketData
	} else {
		r, err := pcapgo.NewReader(bytes.NewReader(b))
		if err != nil {
			t.Fatalf("%s: the independent reader says: %v", path, err)
		}
		r.SetSnaplen(1 << 20) // some files' records are longer than their header says
		next = r.ReadPacketData
	}
	for {
		_, info, err := next()
		if err != nil {
			return n, size // the end, or the damage
		}
		n, size = n+1, size+uint64(info.Length)
	}
}

// readAndCompare reads a capture with rind-tap and with the other reader.
func readAndCompare(t *testing.T, path, damage string) {
	a := command(t, nil, program(t, "rind-tap"), "read", "--json", path)
	switch {
	case strings.Contains(a.err, "panic") || strings.Contains(a.err, "goroutine "):
		t.Fatalf("it panicked: %s", a.err)
	case damage == "" && (a.code != 0 || a.err != ""):
		t.Errorf("exit code %d: %s", a.code, a.err)
	case damage != "":
		oneError(t, a, path, damage)
	}
	want, size := records(t, path)
	got := readJSON(t, a.out)[path]
	if got.Received != want || want == 0 {
		t.Errorf("the ledger received %d records, the independent reader %d", got.Received, want)
	}
	if got.Bytes != size {
		t.Errorf("the ledger has %d bytes, the independent reader %d", got.Bytes, size)
	}
	if got.DroppedPipeline != 0 {
		t.Errorf("%d packets of a file were dropped", got.DroppedPipeline)
	}
}

// oneError checks that a command failed with one line that names the file and
// says these words.
func oneError(t *testing.T, a answer, file string, words ...string) {
	t.Helper()
	if a.code != 1 {
		t.Errorf("exit code %d, want 1", a.code)
	}
	if strings.Count(a.err, "\n") != 1 || strings.Count(a.err, file) == 0 {
		t.Errorf("want one line that names %s: %q", file, a.err)
	}
	says(t, a.err, words...)
}

// says checks that a message has these words.
func says(t *testing.T, text string, words ...string) {
	t.Helper()
	for _, w := range words {
		if !strings.Contains(text, w) {
			t.Errorf("%q is missing in: %s", w, text)
		}
	}
}

// sharedPcaps is the folder of captures beside the repository. It is no part
// of the project.
func sharedPcaps(t *testing.T) string {
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
			t.Fatal("no go.mod above the test")
		}
		dir = filepath.Dir(dir)
	}
	shared := filepath.Join(filepath.Dir(dir), "shared", "pcaps")
	if _, err := os.Stat(shared); err != nil {
		t.Skipf("skipped: the captures of ../shared/pcaps are not beside this repository: %v", err)
	}
	return shared
}

func TestReadSharedCaptures(t *testing.T) {
	t.Parallel()
	dir := sharedPcaps(t)
	found := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		if name := strings.TrimSuffix(path, ".gz"); filepath.Ext(name) != ".pcap" && filepath.Ext(name) != ".cap" && filepath.Ext(name) != ".pcapng" {
			return nil // licences and notes
		}
		found++
		name, err := filepath.Rel(dir, path)
		if err == nil {
			t.Run(name, func(t *testing.T) { readAndCompare(t, path, damagedCaptures[name]) })
		}
		return err
	})
	if err != nil || found == 0 {
		t.Errorf("%d captures, %v", found, err)
	}
}

// TestReadOwnCaptures reads captures that the test writes, so that something
// is compared where there is no shared folder.
func TestReadOwnCaptures(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	packets := manyPackets(t)
	write := func(name string, to func(w io.Writer) error) string {
		var b bytes.Buffer
		if err := to(&b); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	classic := func(w io.Writer) error { return writePcap(w, packets) }
	for _, path := range []string{
		write("own.pcap", classic),
		write("own.pcap.gz", func(w io.Writer) error {
			z := gzip.NewWriter(w)
			return errors.Join(classic(z), z.Close())
		}),
		write("own.pcapng", func(w io.Writer) error {
			ng, err := pcapgo.NewNgWriter(w, layers.LinkTypeEthernet)
			for i := 0; i < len(packets) && err == nil; i++ {
				err = ng.WritePacket(info(i, packets[i]), packets[i])
			}
			return errors.Join(err, ng.Flush())
		}),
	} {
		t.Run(filepath.Base(path), func(t *testing.T) {
			readAndCompare(t, path, "")
			sum := readJSON(t, command(t, nil, program(t, "rind-tap"), "read", "--json", path).out)[path]
			// The last quarter of the packets are cut short in their IP header.
			if want := uint64(len(packets) / 4); sum.Malformed != want || sum.Summarised != 3*want {
				t.Errorf("want %d summarised and %d malformed: %+v", 3*want, want, sum)
			}
		})
	}
}

func writePcap(w io.Writer, packets [][]byte) error {
	pw := pcapgo.NewWriter(w)
	err := pw.WriteFileHeader(65535, layers.LinkTypeEthernet)
	for i := 0; i < len(packets) && err == nil; i++ {
		err = pw.WritePacket(info(i, packets[i]), packets[i])
	}
	return err
}

// info puts packets half a second apart, so that they fill several reports.
func info(i int, data []byte) gopacket.CaptureInfo {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC).Add(time.Duration(i) * 500 * time.Millisecond)
	return gopacket.CaptureInfo{Timestamp: at, CaptureLength: len(data), Length: len(data)}
}

// manyPackets are TCP, UDP, ARP, and IPv4 that ends in its header, in equal parts.
func manyPackets(t *testing.T) (all [][]byte) {
	t.Helper()
	eth := layers.Ethernet{SrcMAC: []byte{2, 0, 0, 0, 0, 1}, DstMAC: []byte{2, 0, 0, 0, 0, 2}, EthernetType: layers.EthernetTypeIPv4}
	const each = 50
	add := func(parts ...gopacket.SerializableLayer) {
		t.Helper()
		b := gopacket.NewSerializeBuffer()
		if err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, parts...); err != nil {
			t.Fatal(err)
		}
		all = append(all, bytes.Clone(b.Bytes()))
	}
	ip := func(p layers.IPProtocol) *layers.IPv4 {
		return &layers.IPv4{Version: 4, TTL: 64, Protocol: p, SrcIP: []byte{192, 0, 2, 1}, DstIP: []byte{192, 0, 2, 2}}
	}
	for i := range each {
		seg := &layers.TCP{SrcPort: 40000, DstPort: 443, SYN: i == 0, ACK: i > 0, Seq: uint32(i), Window: 1000}
		down := ip(layers.IPProtocolTCP)
		if err := seg.SetNetworkLayerForChecksum(down); err != nil {
			t.Fatal(err)
		}
		add(&eth, down, seg)
	}
	for i := range each {
		seg := &layers.UDP{SrcPort: layers.UDPPort(50000 + i), DstPort: 9}
		down := ip(layers.IPProtocolUDP)
		if err := seg.SetNetworkLayerForChecksum(down); err != nil {
			t.Fatal(err)
		}
		add(&eth, down, seg, gopacket.Payload(make([]byte, i)))
	}
	arp := eth
	arp.EthernetType = layers.EthernetTypeARP
	for range each {
		add(&arp, &layers.ARP{
			AddrType: layers.LinkTypeEthernet, Protocol: layers.EthernetTypeIPv4, HwAddressSize: 6, ProtAddressSize: 4, Operation: 1,
			SourceHwAddress: eth.SrcMAC, SourceProtAddress: []byte{192, 0, 2, 1}, DstHwAddress: make([]byte, 6), DstProtAddress: []byte{192, 0, 2, 2},
		})
	}
	for range each {
		all = append(all, bytes.Clone(all[0][:14+11]))
	}
	return all
}
