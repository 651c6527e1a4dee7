package tap

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rind-project/rind/internal/app/daemon"
	"github.com/rind-project/rind/internal/network"
)

// capture of the parsers' tests: 192.0.2.1 asks for names.
const digs = "../../network/packet/dns/testdata/dig.pcap"

// TestRead types what a person types, right and wrong: each answer says what
// was wrong and what to do.
func TestRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	whole, err := os.ReadFile(digs)
	if err != nil {
		t.Fatal(err)
	}
	file := func(name string, b []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	file("join.json", []byte("{")) // what join kept is damaged: reading does without
	empty, cut, text := file("empty", nil), file("cut.pcap", whole[:len(whole)-1]), file("text", []byte("no capture at all"))
	air := append([]byte(nil), whole...)
	air[20] = 105 // says that it holds frames of 802.11
	wifi := file("wifi.pcap", air)
	for name, c := range map[string]struct {
		args     []string
		code     int
		out, err string
	}{
		"whole":            {[]string{digs}, 0, "13 flows, ", ""},
		"json":             {[]string{"-o", "json", digs}, 0, `{"tap":`, ""},
		"json by its name": {[]string{"--json", digs}, 0, `{"tap":`, ""},
		"yaml":             {[]string{"-o", "yaml", digs}, 1, "", `no format "yaml"; use table or json`},
		"nothing there":    {[]string{dir + "/nope"}, 1, "", "no such file or directory; look at the path"},
		"a folder":         {[]string{dir}, 1, "", "is a folder; name the files in it"},
		"empty":            {[]string{empty}, 1, "", "the file is empty"},
		"cut":              {[]string{cut}, 1, "damaged: what follows was read before the damage", "the file ends inside a record"},
		"not a capture":    {[]string{text}, 1, "", "not a pcap or pcapng file: write it as one (editcap"},
		"one of three":     {[]string{text, digs, empty}, 1, "13 flows, ", "the file is empty"},
		"filter":           {[]string{"--filter", "tcp prt 80", digs}, 1, "", `column 5: "prt"`},
		"filter of 802.11": {[]string{"--filter", "tcp", wifi}, 1, "not read to its end", "a filter cannot be used on the link type 802.11"},
		"parser":           {[]string{"--parsers", "dnss", digs}, 1, "", `"dnss" is no parser: choose from arp, `},
		"no node":          {[]string{"--to", "node", digs}, 1, "", "join.json is damaged"},
		"two ways":         {[]string{"-o", "json", "--spool", dir, digs}, 1, "", "exclude one another"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out, told bytes.Buffer
			code := daemon.Execute(command(), append([]string{"read", "--data", dir}, c.args...), &out, &told)
			if code != c.code || !strings.Contains(out.String(), c.out) || !strings.Contains(told.String(), c.err) || c.err == "" && told.Len() > 0 {
				t.Errorf("it ended with %d, want %d\nout: %s\nwant: %s\nerror: %s\nwant: %s", code, c.code, out.String(), c.out, told.String(), c.err)
			}
		})
	}
}

// TestReadFromAPipe is tcpdump -w - | rind-tap read -.
func TestReadFromAPipe(t *testing.T) {
	t.Parallel()
	whole, err := os.ReadFile(digs)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program(t), "read", "--data", t.TempDir(), "-o", "json", "-")
	cmd.Stdin = bytes.NewReader(whole)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	packets := uint64(0)
	for line := range strings.Lines(string(out)) {
		var r network.Report
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		packets += r.Interfaces[0].Received
	}
	if packets == 0 {
		t.Errorf("no packet in %s", out)
	}
}
