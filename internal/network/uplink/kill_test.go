package uplink

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

const childDir = "RIND_TEST_SPOOL_DIR"

// TestMain runs this binary as a tap that spools until it is killed, when
// TestSpoolSurvivesKill asks for it.
func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		if err := spoolForEver(dir); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// spoolForEver prints the number of each report once it is spooled.
func spoolForEver(dir string) error {
	s, err := OpenSpool(SpoolConfig{Dir: dir})
	if err != nil {
		return err
	}
	if _, err := s.Begin(fmt.Sprint("boot-", os.Getpid()), time.Now()); err != nil {
		return err
	}
	for n := uint64(1); ; n++ {
		if err := s.Append(n, time.Now(), make([]byte, 40_000)); err != nil {
			return err
		}
		fmt.Println(n)
	}
}

func TestSpoolSurvivesKill(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	total := uint64(0)
	for round := range 4 {
		child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=none")
		child.Env = append(os.Environ(), childDir+"="+dir)
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		var told uint64
		for lines := bufio.NewScanner(out); told < uint64(10+round) && lines.Scan(); {
			if told, err = strconv.ParseUint(lines.Text(), 10, 64); err != nil {
				t.Fatalf("the child says %q", lines.Text())
			}
		}
		if err := child.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := child.Wait(); !strings.Contains(fmt.Sprint(err), "killed") {
			t.Fatalf("the child ended by itself: %v", err)
		}
		s := open(t, SpoolConfig{Dir: dir})
		boot := fmt.Sprint("boot-", child.Process.Pid)
		var last uint64
		for _, e := range s.entries {
			if e.Boot != boot {
				continue
			}
			if e.Sequence != last+1 {
				t.Fatalf("after %d comes %d", last, e.Sequence)
			}
			last = e.Sequence
			if _, err := s.Read(e); err != nil {
				t.Fatal(err)
			}
		}
		if last < told {
			t.Fatalf("report %d was spooled, %d is the last one there", told, last)
		}
		total += last
		if n := s.Stats().Reports; n != total {
			t.Fatalf("%d reports are there, want %d", n, total)
		}
		gap := s.state.next("next", time.Now()).Gap
		if gap == nil || gap.Boot != boot || gap.Sequence != last {
			t.Fatalf("the gap is %+v, want one of %s after %d", gap, boot, last)
		}
		s.Abandon()
	}
}
