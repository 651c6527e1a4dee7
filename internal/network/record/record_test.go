package record

import (
	"encoding/json"
	"net/netip"
	"reflect"
	"regexp"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rind-project/rind/internal/network"
)

// TestKinds shows what every kind must have for what treats all alike.
func TestKinds(t *testing.T) {
	t.Parallel()
	if n := reflect.TypeFor[network.Records]().NumField(); len(Kinds()) != n || n == 0 {
		t.Fatalf("%d kinds of %d lists", len(Kinds()), n)
	}
	name := regexp.MustCompile(`^[a-z][a-z0-9_]{0,40}$`)
	kinds := map[string]bool{}
	for _, k := range Kinds() {
		if !name.MatchString(k.Name) || k.Doc == "" || kinds[k.Name] {
			t.Errorf("the kind %q has no name of its own, or no doc %q", k.Name, k.Doc)
		}
		kinds[k.Name] = true
		if first := k.Columns[0]; first.Type != Time || first.Name != "time" {
			t.Errorf("the first column of %s is %q of type %s: it must be the time", k.Name, first.Name, first.Type)
		}
		if len(k.Filters()) == 0 {
			t.Errorf("nothing of %s can be filtered by", k.Name)
		}
		names, keys := map[string]bool{}, map[string]bool{}
		for _, c := range k.Columns {
			if !name.MatchString(c.Name) || !name.MatchString(c.Key) || c.Doc == "" {
				t.Errorf("%s.%s: the name, the key %q or the doc %q will not do", k.Name, c.Name, c.Key, c.Doc)
			}
			if names[c.Name] || keys[c.Key] {
				t.Errorf("%s.%s stands there twice", k.Name, c.Name)
			}
			if c.Filter && (c.Type == List || c.Type == Time || c.Type == Duration) {
				t.Errorf("%s.%s is a %s, by which no list can be filtered", k.Name, c.Name, c.Type)
			}
			names[c.Name], keys[c.Key] = true, true
		}
	}
}

// TestJSONNames shows that the columns are what encoding/json writes.
func TestJSONNames(t *testing.T) {
	t.Parallel()
	for _, k := range Kinds() {
		row := k.New()
		for i := range k.Columns {
			fill(row, &k.Columns[i])
		}
		b, err := json.Marshal(row.Pointer())
		if err != nil {
			t.Fatal(err)
		}
		members := map[string]json.RawMessage{}
		if err := json.Unmarshal(b, &members); err != nil {
			t.Fatal(err)
		}
		if len(members) != len(k.Columns) {
			t.Errorf("%s has %d columns, its JSON %d members: %s", k.Name, len(k.Columns), len(members), b)
		}
		for _, c := range k.Columns {
			if members[c.Name] == nil {
				t.Errorf("%s.%s is not in its JSON", k.Name, c.Name)
			}
		}
	}
}

func fill(row Row, c *Column) {
	switch v := row.Cell(c); c.Type {
	case Time:
		*At[time.Time](row, c) = time.UnixMicro(1).UTC()
	case MAC:
		*At[network.MAC](row, c) = network.MAC{1}
	case List:
		*At[[]string](row, c) = []string{"a"}
	case Text:
		v.SetString("a")
	case Bool:
		v.SetBool(true)
	case Uint:
		v.SetUint(1)
	case Int, Duration:
		v.SetInt(1)
	case Addr:
	}
}

func TestCellsAllocateNothing(t *testing.T) {
	k, _ := Find("dhcp")
	var r network.Records
	k.Rows(&r).Make(1)
	mac, client, server := k.Named("mac"), k.Named("client"), k.Named("server_port")
	n := testing.AllocsPerRun(100, func() {
		row := k.Rows(&r).Row(0)
		*At[network.MAC](row, mac) = network.MAC{1, 2, 3, 4, 5, 6}
		row.Cell(server).SetUint(67)
		_ = row.Cell(client)
	})
	if n != 0 || r.DHCP[0].MAC[5] != 6 || r.DHCP[0].ServerPort != 67 {
		t.Errorf("%v allocations, and the row is %+v", n, r.DHCP[0])
	}
}

func TestCutAndAppend(t *testing.T) {
	t.Parallel()
	var all network.Records
	for i := range 5 {
		all.Neighbors = append(all.Neighbors, network.Neighbor{Count: uint64(i)})
		all.HTTP = append(all.HTTP, network.HTTP{Length: uint64(i)})
	}
	all.Bluetooth = []network.Bluetooth{{Name: "a"}}
	var joined network.Records
	parts := 0
	for rest := all; Count(&rest) > 0; parts++ {
		var head network.Records
		head, rest = Cut(rest, 4)
		if n := Count(&head); n > 4 || n == 0 {
			t.Fatalf("a part has %d rows", n)
		}
		Append(&joined, &head)
	}
	if diff := cmp.Diff(all, joined, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" || parts != 3 {
		t.Errorf("%d parts, and they differ:\n%s", parts, diff)
	}
	if len(all.Neighbors) != 5 || all.Neighbors[4].Count != 4 {
		t.Error("what was cut has changed")
	}
}
