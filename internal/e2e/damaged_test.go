package e2e

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// maxRSS bounds the memory of a command that reads a damaged file, in KiB.
const maxRSS = 200 << 10

// measured runs rind-tap and fails when it takes too long, or too much memory.
func measured(t *testing.T, args ...string) answer {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program(t, "rind-tap"), args...)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	began := time.Now()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	watchdog := time.AfterFunc(40*time.Second, func() { _ = cmd.Process.Kill() })
	err := cmd.Wait()
	if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		t.Fatal(err)
	}
	if !watchdog.Stop() {
		t.Fatalf("it hung: after %s it had said %q", time.Since(began), &errOut)
	}
	if rss := cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss; rss > maxRSS {
		t.Errorf("it took %d KiB of memory, more than %d", rss, maxRSS)
	}
	return answer{cmd.ProcessState.ExitCode(), out.String(), errOut.String()}
}

// le joins 32-bit words as a little-endian host writes them.
func le(words ...uint32) (b []byte) {
	for _, w := range words {
		b = binary.LittleEndian.AppendUint32(b, w)
	}
	return b
}

// A section header and an interface description of pcapng.
var ngHead = le(0x0a0d0d0a, 28, 0x1a2b3c4d, 1, 0xffffffff, 0xffffffff, 28, 1, 20, 1, 0, 20)

func TestReadDamagedFiles(t *testing.T) {
	t.Parallel()
	var whole bytes.Buffer
	packets := manyPackets(t)[:10]
	if err := writePcap(&whole, packets); err != nil {
		t.Fatal(err)
	}
	good := whole.Bytes()
	record := 16 + len(packets[0]) // all are of one length
	third := 24 + 2*record         // where the third record begins
	huge := bytes.Clone(good)
	copy(huge[third+8:], le(0xffffffff, 0xffffffff))
	garbage := bytes.Repeat([]byte{0xff}, 64)

	tests := map[string]struct {
		file []byte
		want string // words of the error
		read uint64 // records before the damage
	}{
		"record header cut off":     {good[:third+7], "damaged at byte 176: the file ends inside a record header: 7 of 16", 2},
		"record body cut off":       {good[:third+16+9], "damaged at byte 176: the file ends inside a record: 9 of 60", 2},
		"file header cut off":       {good[:11], "damaged at byte 0: the file ends inside a file header", 0},
		"header of garbage":         {garbage, "damaged at byte 0: begins with ff ff ff ff; not a pcap or pcapng file", 0},
		"zero length":               {nil, "damaged at byte 0: the file is empty", 0},
		"three bytes":               {good[:3], "damaged at byte 0: only 3 bytes", 0},
		"a version of the future":   {append(le(0xa1b2c3d4, 9), good[8:]...), "damaged at byte 4: version 9", 0},
		"a record of 4 GB":          {huge, "damaged at byte 176: a record says it has 4294967295 bytes", 2},
		"garbage between records":   {append(bytes.Clone(good[:third]), garbage...), "damaged at byte 176", 2},
		"a pcapng block of 4 GB":    {append(bytes.Clone(ngHead), le(6, 0xfffffffc, 0, 0, 0)...), "damaged at byte 48: a block of type 6 says it has 4294967292 bytes", 0},
		"an unknown block of 4 GB":  {append(bytes.Clone(ngHead), le(0xbad, 0xfffffffc, 0, 0, 0)...), "damaged at byte 48: the file ends inside a block of 4294967292 bytes", 0},
		"a pcapng section of 4 GB":  {le(0x0a0d0d0a, 0xfffffffc, 0x1a2b3c4d, 1), "damaged at byte 0: a block of type 168627466 says it has 4294967292 bytes", 0},
		"a pcapng block of 0 bytes": {append(bytes.Clone(ngHead), le(6, 0, 0, 0, 0)...), "damaged at byte 48: a block says it has 0 bytes", 0},
		"a pcapng block cut off":    {append(bytes.Clone(ngHead), le(6, 64, 0, 0, 0)...), "damaged at byte 48: the file ends inside a block: 20 of 64", 0},
		"gzip that is cut off":      {[]byte{0x1f, 0x8b, 8, 0, 0}, "damaged at byte 0: gzip header", 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			bad, fine := filepath.Join(dir, "bad.pcap"), filepath.Join(dir, "fine.pcap")
			if err := errors.Join(os.WriteFile(bad, test.file, 0o600), os.WriteFile(fine, good, 0o600)); err != nil {
				t.Fatal(err)
			}
			a := measured(t, "read", "--json", bad, fine)
			oneError(t, a, bad, test.want)
			sums := readJSON(t, a.out)
			if got := sums[bad].Received; got != test.read {
				t.Errorf("%d records before the damage were read, want %d", got, test.read)
			}
			if got := sums[fine].Received; got != 10 {
				t.Errorf("%d records of the file after it were read, want 10", got)
			}
			a = measured(t, "read", bad)
			oneError(t, a, bad, test.want)
		})
	}
}

// TestReadWhatIsNoFile: a folder, a missing file, one that may not be read, and
// a pipe that nobody writes.
func TestReadWhatIsNoFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	fine, pipe := filepath.Join(dir, "fine.pcap"), filepath.Join(dir, "pipe")
	var whole bytes.Buffer
	if err := errors.Join(writePcap(&whole, manyPackets(t)), os.WriteFile(fine, whole.Bytes(), 0o600), syscall.Mkfifo(pipe, 0o600)); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct{ path, want string }{
		"a folder":                 {dir, "is a folder; name the files in it"},
		"missing":                  {filepath.Join(dir, "none.pcap"), "no such file"},
		"an empty name":            {"", "no such file"},
		"a pipe that nobody wrote": {pipe, "nobody wrote to this pipe within 10s; start its writer first"},
		"endless zeroes":           {"/dev/zero", "begins with 00 00 00 00; not a pcap"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := measured(t, "read", "--json", test.path, fine)
			oneError(t, a, test.path, test.want)
			if got := readJSON(t, a.out)[fine].Received; got != 200 {
				t.Errorf("%d records of the file after it were read, want 200", got)
			}
		})
	}
	t.Run("a signal ends waiting for a pipe", func(t *testing.T) {
		t.Parallel()
		silent := filepath.Join(t.TempDir(), "silent")
		if err := syscall.Mkfifo(silent, 0o600); err != nil {
			t.Fatal(err)
		}
		w, err := os.OpenFile(silent, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		if _, err := w.Write(whole.Bytes()[:24]); err != nil {
			t.Fatal(err)
		}
		p := start(t, "", nil, program(t, "rind-tap"), "read", "--json", silent)
		time.Sleep(500 * time.Millisecond) // it reads and waits for more
		if p.ended() {
			t.Fatalf("it did not wait for the writer: %s", p.errOut)
		}
		p.stop(t)
		if code := p.ProcessState.ExitCode(); code == 0 || !strings.Contains(p.errOut.String(), "canceled") {
			t.Errorf("exit code %d, %s", code, p.errOut)
		}
	})
}
