package cli_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/rind-project/rind/internal/api/apitest"
	"github.com/rind-project/rind/internal/cli"
	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/record"
	"github.com/rind-project/rind/internal/network/store"
)

// httpRecords are rows with what is shown in odd ways: no answer, IPv6, bytes
// that would move the cursor.
func httpRecords() []store.Record {
	var rows network.Records
	rows.HTTP = []network.HTTP{
		{Session: network.Session{Time: before(time.Minute), Client: netip.MustParseAddr("192.0.2.7"), ClientPort: 40000, Server: netip.MustParseAddr("2001:db8::1"), ServerPort: 80, Proto: network.TCP},
			Version: "1.1", Method: "GET", Host: "www.example.com", Path: "/index.html", Status: 200, ContentType: "text/html", Length: 1234, Latency: 12 * time.Millisecond},
		{Session: network.Session{Time: before(2 * time.Minute), Client: netip.MustParseAddr("192.0.2.8"), ClientPort: 40001, Server: netip.MustParseAddr("192.0.2.1"), ServerPort: 8080, Proto: network.TCP},
			Version: "1.1", Method: "POST", Host: "a\x1b[2Jb", Path: "/"},
	}
	return recordsOf("http", &rows)
}

func recordsOf(kind string, rows *network.Records) []store.Record {
	k, _ := store.FindKind(kind)
	var out []store.Record
	for i := range k.Rows(rows).Len() {
		out = append(out, store.NewRecord(k, int64(100-i), "office", k.Rows(rows).Row(i)))
	}
	return out
}

func TestRecords(t *testing.T) {
	t.Parallel()
	s := apitest.Start(t, nil)
	rows := network.Records{Drones: []network.Drone{{Time: before(time.Minute), MAC: network.MAC{2, 0, 0, 0, 0, 1}, Transport: "wifi-beacon", ID: "1581F", Latitude: 523456789, Messages: 3}}}
	s.Network.RecordRows = map[string][]store.Record{"http": httpRecords(), "drones": recordsOf("drones", &rows)}
	golden(t, "record", on(t, s).transcript(t,
		[]string{"record", "list"},
		[]string{"record", "show", "http"},
		[]string{"record", "show", "http", "--limit", "1", "-o", "json"},
		[]string{"record", "show", "http", "-o", "yaml"},
		[]string{"record", "show", "drones", "--drones-id", "1581*", "-o", "ndjson"},
		[]string{"record", "show", "http", "--client", "ten"},
		[]string{"record", "show", "ssh"},
		[]string{"record", "show", "flows"},
		[]string{"record", "show", "telepathy"},
		[]string{"record", "show"},
		[]string{"record", "show", "http", "--hots", "a"},
		[]string{"record", "show", "ntp", "--help"},
	))
	code, _, stderr := on(t, s).run(t, "record", "show", "http", "--client", "192.0.2.0/24", "--host", "*.example.com", "--tap", "office", "--since", "1d")
	if q := s.Network.RecordQuery; code != 0 || q.Kind != "http" || q.Filters["client"] != "192.0.2.0/24" || q.Filters["host"] != "*.example.com" || q.Tap != "office" {
		t.Errorf("exit code %d, %s: the query is %+v", code, stderr, q)
	}
}

// TestEveryKindHasACommand shows that every kind can be listed, by each of its
// filters, and that no filter hides a flag of all commands.
func TestEveryKindHasACommand(t *testing.T) {
	t.Parallel()
	root := cli.New(cli.Options{})
	show, _, err := root.Find([]string{"record", "show"})
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range store.Kinds() {
		i := slices.IndexFunc(show.Commands(), func(c *cobra.Command) bool { return c.Name() == k.Name })
		if i < 0 {
			t.Errorf("rind record show %s is missing", k.Name)
			continue
		}
		c := show.Commands()[i]
		if c.Example == "" || c.Short == "" {
			t.Errorf("rind record show %s has no example or no text", k.Name)
		}
		for _, column := range k.Filters() {
			name := strings.ReplaceAll(column.Key, "_", "-")
			if f := c.LocalFlags().Lookup(name); f == nil || f.Usage != column.Doc || root.PersistentFlags().Lookup(name) != nil {
				t.Errorf("rind record show %s: the flag --%s is missing, or means something else", k.Name, name)
			}
		}
	}
	if len(record.Kinds()) < 20 {
		t.Error("there are too few kinds: the test shows nothing")
	}
}
