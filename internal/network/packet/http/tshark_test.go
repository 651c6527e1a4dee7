package http_test

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/packet/http"
	"github.com/rind-project/rind/internal/network/packet/parse/parsetest"
)

// differs lists the captures in which tshark sees something else, and why.
var differs = map[string]string{
	"h2c.pcap":       "HTTP/2 is only recognised here",
	"pipelined.pcap": "tshark waits for a body of the answer to a pipelined HEAD",
}

// TestAgainstTshark: requests and answers are those that tshark reads, in our
// captures and in those beside the repository where they are there.
func TestAgainstTshark(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("tshark"); err != nil {
		t.Skip("tshark is not installed: nothing to compare with")
	}
	files, err := filepath.Glob("testdata/*.pcap")
	if err != nil {
		t.Fatal(err)
	}
	beside, err := filepath.Glob("../../../../../shared/pcaps/zeek/http*/*.pcap")
	if err != nil {
		t.Fatal(err)
	}
	if len(beside) == 0 {
		t.Log("no captures of others beside the repository")
	}
	for _, path := range append(files, beside...) {
		if differs[filepath.Base(path)] != "" {
			continue
		}
		out := parsetest.NewOut()
		for _, c := range parsetest.Conversations(t, path, network.TCP, 80) {
			_ = parsetest.Run(http.New(), out, c, nil)
		}
		var ours []string
		for _, r := range out.Records.HTTP {
			if r.Method != "" {
				ours = append(ours, fmt.Sprintf("%s %s %s %s", r.Method, r.Host, r.Path, r.Agent))
			}
			if r.Status != 0 {
				ours = append(ours, fmt.Sprintf("%d %s %s %d", r.Status, r.ContentType, r.Software, r.Length))
			}
		}
		slices.Sort(ours)
		if diff := cmp.Diff(tshark(t, path), ours); diff != "" || len(ours) == 0 {
			t.Errorf("%s (-tshark +ours):\n%s", path, diff)
		}
	}
}

func tshark(t *testing.T, path string) []string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "tshark", "-n", "-2", "-r", path, "-Y", "http", "-T", "fields", "-E", "separator=\t",
		"-e", "http.request.method", "-e", "http.host", "-e", "http.request.uri", "-e", "http.user_agent",
		"-e", "http.response.code", "-e", "http.content_type", "-e", "http.server", "-e", "http.content_length_header").Output()
	if err != nil {
		t.Fatalf("tshark: %v", err)
	}
	var all []string
	for line := range strings.Lines(string(out)) {
		cells := strings.Split(strings.TrimRight(line, "\n"), "\t")
		if cells[0] != "" {
			path, _, _ := strings.Cut(cells[2], "?")
			all = append(all, fmt.Sprintf("%s %s %s %s", cells[0], cells[1], path, cells[3]))
		}
		if status := cells[4]; status != "" && status != "100" {
			length, _ := strconv.Atoi(cells[7])
			all = append(all, fmt.Sprintf("%s %s %s %d", status, strings.ToLower(cells[5]), cells[6], length))
		}
	}
	slices.Sort(all)
	return all
}
