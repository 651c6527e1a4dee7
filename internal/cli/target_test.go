package cli_test

import (
	"strings"
	"testing"

	"github.com/rind-project/rind/internal/api/apitest"
	"github.com/rind-project/rind/internal/fleet"
)

// landscape serves hosts that differ in what targets ask for.
func landscape(t *testing.T) *apitest.Server {
	t.Helper()
	s := apitest.Start(t, nil)
	add := func(id fleet.PeelID, f *fleet.Facts) {
		s.Fleet.Add(fleet.Peel{ID: id, Presence: fleet.Connected, Facts: f}, apitest.Always(apitest.OK(true)))
	}
	host := func(os, kernel, addr string, mem int64) *fleet.Facts {
		return &fleet.Facts{OS: os, Kernel: kernel, Mem: fleet.Mem{Total: mem}, Interfaces: []fleet.Interface{{Name: "eth0", Addresses: []string{addr}}}}
	}
	add("web-01", host("Debian", "6.1.0-28-amd64", "10.1.0.7/24", 16e9))
	add("web-02", host("Debian", "5.10.0-30-amd64", "10.2.0.7/24", 4e9))
	add("db-01", host("Alpine", "6.6.1", "10.2.0.8/24", 32e9))
	add("new-01", nil)
	return s
}

func TestTarget(t *testing.T) {
	t.Parallel()
	golden(t, "target", on(t, landscape(t)).transcript(t,
		[]string{"target", "test", "web-* and G@os:Debian and not S@10.2.0.0/16"},
		[]string{"target", "test", "G@os:alpine or (G@mem.total>8GB and P@kernel:^6)", "--limit", "1"},
		[]string{"target", "test", "-G", "os:Debian", "-o", "json"},
		[]string{"target", "test", "not G@os:Debian"},
		[]string{"target", "test", "nobody"},
		[]string{"target", "test", "I@role:web"},
		[]string{"target", "test", "web* or N@eu"},
		[]string{"target", "test", "web* and G@mem.total>8G"},
		[]string{"target", "test", "(web* or db*"},
		[]string{"peel", "list", "--match", "G@os:Debian and not web-01"},
		[]string{"peel", "list", "-S", "10.2.0.0/16"},
		[]string{"peel", "list", "web.example"},
		[]string{"peel", "list", "-G"},
		[]string{"peel", "list", "web*", "--match", "db*"},
		[]string{"run", "web* and", "test.ping"},
	))
}

func TestKindsOfTarget(t *testing.T) {
	t.Parallel()
	term := on(t, landscape(t))
	tests := []struct {
		args []string
		want string
	}{
		{[]string{"-G", "os:Debian", "test.ping"}, "web-01 web-02"},
		{[]string{"run", "-G", "os:Debian", "test.ping"}, "web-01 web-02"},
		{[]string{"-o", "table", "-G", "os:Debian", "test.ping"}, "web-01 web-02"},
		{[]string{"-E", "(web|db)-01", "test.ping"}, "db-01 web-01"},
		{[]string{"-E", "a b' c|new", "test.ping"}, "new-01"},
		{[]string{"-L", "web-01, db-01", "test.ping"}, "db-01 web-01"},
		{[]string{"-P", `kernel:^6\.`, "test.ping"}, "db-01 web-01"},
		{[]string{"-S", "10.2.0.0/16", "test.ping"}, "db-01 web-02"},
		{[]string{"-C", "web* and not G@kernel:5*", "test.ping"}, "web-01"},
		{[]string{"web* and not G@kernel:5*", "test.ping"}, "web-01"},
		{[]string{"L@web-02", "test.ping"}, "web-02"},
		{[]string{"--fact", "os:Alpine", "test.ping"}, "db-01"},
		{[]string{"run", "web-01", "cmd.run", "--", "ls", "-L"}, "web-01"},
	}
	for _, tt := range tests {
		code, stdout, stderr := term.run(t, tt.args...)
		var got []string
		for line := range strings.Lines(stdout) {
			if id, _, ok := strings.Cut(line, ": true"); ok {
				got = append(got, id)
			} else if id, ok := strings.CutSuffix(line, ":\n"); ok {
				got = append(got, id)
			}
		}
		if code != 0 || strings.Join(got, " ") != tt.want {
			t.Errorf("%q: exit code %d, %q, want %q\n%s%s", tt.args, code, got, tt.want, stdout, stderr)
		}
	}
	for _, tt := range []struct {
		args []string
		says string
	}{
		{[]string{"run", "web-01", "cmd.run", "ls", "-L"}, "-L stands before the target; put -- in front"},
		{[]string{"-G", "-S", "os:Debian", "test.ping"}, "the target is of one kind"},
		{[]string{"-N", "web", "test.ping"}, "matches"},
	} {
		if code, stdout, stderr := term.run(t, tt.args...); code == 0 || !strings.Contains(stderr, tt.says) {
			t.Errorf("%q: exit code %d, want %q\n%s%s", tt.args, code, tt.says, stdout, stderr)
		}
	}
}
