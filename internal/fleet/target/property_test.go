package target_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/target"
)

// world makes facts, and expressions about them, from a source of chance.
type world struct{ *rand.Rand }

func pick[T any](w world, all ...T) T { return all[w.IntN(len(all))] }

func (w world) id(space int) fleet.PeelID {
	return fleet.PeelID(fmt.Sprintf("%s%d-%s", pick(w, "web", "db", "we"), w.IntN(space), pick(w, "prod", "dev", "prod-eu")))
}

func (w world) facts(id fleet.PeelID) *fleet.Facts {
	if w.IntN(12) == 0 {
		return nil
	}
	f := &fleet.Facts{
		ID: id, Hostname: string(id), MachineID: fmt.Sprintf("%X", w.IntN(1<<30)), OS: pick(w, "Debian", "debian", "Alpine", ""),
		OSPretty: pick(w, "", "Debian GNU/Linux 12 (bookworm)", "it's"), OSVersion: pick(w, "9", "12", "12.5", "3.20", "13~rc1", ""),
		Kernel: pick(w, "6.1.0-28-amd64", "5.10.0", "6.12-rc1", "6.12"), Mem: fleet.Mem{Total: int64(w.IntN(20)) * 1e9},
		CPU: fleet.CPU{Count: w.IntN(9), Model: pick(w, "", "Intel Xeon", "AMD EPYC")},
	}
	if w.IntN(3) > 0 {
		f.BootTime = time.Unix(1700000000+int64(w.IntN(1<<25)), 0)
	}
	for i := range w.IntN(4) {
		f.Disks = append(f.Disks, fleet.Disk{Name: fmt.Sprintf("sd%c", 'a'+i), Size: int64(w.IntN(1 << 40)), Rotational: w.IntN(2) == 0})
	}
	for i := range w.IntN(3) {
		n := fleet.Interface{Name: fmt.Sprintf("eth%d", i), MTU: pick(w, 1500, 9000), Up: w.IntN(2) == 0}
		for range w.IntN(3) {
			n.Addresses = append(n.Addresses, fmt.Sprintf(pick(w, "10.%d.%d.1/24", "fe80::%x:%x/64", "::ffff:10.%d.%d.9/120", "bad%d.%d"), w.IntN(8), w.IntN(250)))
		}
		f.Interfaces = append(f.Interfaces, n)
	}
	return f
}

func (w world) term() string {
	n := w.IntN(400)
	switch w.IntN(22) {
	case 0:
		return fmt.Sprintf("L@web%d-prod,db%d-dev,%s", n, n/2, w.id(400))
	case 1:
		return fmt.Sprintf("E@%s%d", pick(w, "", "^", "^web", "(web|db)", "^(?i)WEB"), n%10)
	case 2:
		return "G@os" + pick(w, ":", "!=") + pick(w, "Debian", "d*", "*", "''?*", "[ab]*", "nothing")
	case 3:
		return "G@mem.total" + pick(w, ":", "!=", ">", "<", ">=", "<=") + pick(w, "8GB", "8000000000", "7.45GiB", "0", "-1", "1.5", "x", "9223372036854775807")
	case 4:
		return "G@os_version" + pick(w, ">", "<", ">=", "<=") + pick(w, "12", "9", "12.4", "3.9", "13")
	case 5:
		return "G@boot_time" + pick(w, ">", "<", ">=", "<=") + pick(w, "2024-01-01", "2024-06-01T12:00:00Z", "12")
	case 6:
		return "G@hostname" + pick(w, ":", "!=") + numbered(pick(w, "web%d*", "WEB%d-prod", "*%d-dev", "*"), n)
	case 7:
		return "G@" + pick(w, "machine_id", "disks.size") + pick(w, ":", "!=") + fmt.Sprintf(pick(w, "*%d*", "%d?*"), n%100)
	case 8:
		return "G@disks.size" + pick(w, ">", "<=") + pick(w, "100GB", "0.5TiB")
	case 9:
		return pick(w, "P@kernel:^6\\.", "P@machine_id:^A.*[0-5]$", "P@boot_time:T1.:", "P@disks.rotational:^t", "P@hostname:'(a|b)\\d+-p'")
	case 10:
		return "S@" + pick(w, "10.2.0.0/16", "10.0.0.0/8", "fe80::/16", "::/0", "0.0.0.0/0", "10.3.7.1", "::ffff:10.4.0.0/112", "fe80::3:0/112")
	case 11:
		return "G@interfaces" + pick(w, ".0", ".1", "") + pick(w, ".name:eth1", ".mtu:1500", ".name!=eth0", ".up:true", ".addresses:10.*", ".addresses.0!=10.*", ".addresses.1:fe80*")
	case 12:
		return "N@" + pick(w, "old", "eu", "both")
	case 13:
		return "I@" + pick(w, "role", "slot", "none") + pick(w, ":", "!=", ">") + pick(w, "web", "3")
	case 14:
		return "G@os_pretty:" + pick(w, `"debian gnu*"`, `'Debian GNU/Linux 12 (bookworm)'`, `"it's"`)
	case 15:
		return pick(w, "G@nothing:*", "G@cpu:*", "G@disks.9.name:*", "G@nothing!=x", "G@cpu.count:0*", "G@cpu.count!=3", "G@disks.rotational:T*")
	case 16:
		return string(w.id(400))
	}
	return numbered(pick(w, "*", "web*", "*prod", "web*-prod", "*%d*", "w?b%d*", "we*[0-4]-*v", "web-*-web", "*-prod-*"), n)
}

func numbered(text string, n int) string { return strings.ReplaceAll(text, "%d", fmt.Sprint(n)) }

func (w world) expr(depth int) string {
	if depth == 0 || w.IntN(3) == 0 {
		return w.term()
	}
	switch w.IntN(5) {
	case 0:
		return "not " + w.expr(depth-1)
	case 1:
		return "(" + w.expr(depth-1) + ")"
	case 2:
		return w.expr(depth-1) + " or " + w.expr(depth-1)
	}
	return w.expr(depth-1) + " and " + w.expr(depth-1)
}

func groups(name string) (string, bool) {
	text, ok := map[string]string{"old": "G@os_version<12", "eu": "*-eu or I@role:web", "both": "N@old and not N@eu"}[name]
	return text, ok
}

func settings(id fleet.PeelID, key string) []string {
	switch key {
	case "role":
		return []string{strings.TrimRight(string(id[:3]), "0123456789"), "linux"}
	case "slot":
		return []string{fmt.Sprint(len(id) % 7)}
	}
	return nil
}

// differ compares what the index selects with what each peel says for itself.
func differ(t *testing.T, x *target.Index, all map[fleet.PeelID]*fleet.Facts, text string) {
	t.Helper()
	e, err := target.Parse(text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	got, total, err := x.Query(t.Context(), e, "", 0)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	r, err := e.Resolve(groups)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	var want []fleet.PeelID
	for id, f := range all {
		if r.MatchWith(id, f, settings) {
			want = append(want, id)
		}
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" || total != len(want) {
		t.Fatalf("%s: %d, want %d (-want +got):\n%s", text, total, len(want), diff)
	}
}

// TestIndexAgreesWithMatch is the index's law: Select gives exactly the peels
// that Match is true of, whatever was put and removed before.
func TestIndexAgreesWithMatch(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	w := world{rand.New(rand.NewPCG(seed, 1))}
	x := target.NewIndex(target.WithGroups(groups), target.WithSettings(settings))
	all := map[fleet.PeelID]*fleet.Facts{}
	rounds, changes := 12, 4000
	if testing.Short() {
		rounds, changes = 4, 3000
	}
	for round := range rounds {
		for range changes / (1 + round%3*10) {
			id := w.id(1500)
			if w.IntN(5) == 0 || round == 6 && w.IntN(4) > 0 {
				x.Remove(id)
				delete(all, id)
				continue
			}
			all[id] = w.facts(id)
			x.Put(id, all[id])
			if got, ok := x.Facts(id); !ok || !cmp.Equal(got, all[id]) {
				t.Fatalf("facts of %s: %s", id, cmp.Diff(all[id], got))
			}
		}
		if x.Len() != len(all) {
			t.Fatalf("%d peels, want %d", x.Len(), len(all))
		}
		for range 150 {
			differ(t, x, all, w.expr(4))
		}
	}
	for id := range all {
		x.Remove(id)
	}
	differ(t, x, nil, "* or not *")
}

// TestReadersWhileWritersGoOn asks while peels come, change and go. Those of
// which nothing changes must be in every answer.
func TestReadersWhileWritersGoOn(t *testing.T) {
	t.Parallel()
	x := target.NewIndex()
	const still = 3000
	put := func(prefix string, n, value int) {
		id := fleet.PeelID(fmt.Sprintf("%s-%04d", prefix, n))
		x.Put(id, &fleet.Facts{ID: id, Hostname: fmt.Sprintf("host-%d", value), OS: "Debian", Mem: fleet.Mem{Total: int64(value)}})
	}
	for n := range still {
		put("still", n, n)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 700*time.Millisecond)
	defer cancel()
	var wg sync.WaitGroup
	wg.Go(func() {
		w := world{rand.New(rand.NewPCG(1, 1))}
		for ctx.Err() == nil {
			n := w.IntN(2000)
			if put("move", n, w.IntN(1<<40)); w.IntN(2) == 0 {
				x.Remove(fleet.PeelID(fmt.Sprintf("move-%04d", n)))
			}
		}
	})
	for _, text := range []string{"G@os:Debian", "P@hostname:^host-", "E@l", "G@hostname:h*-*", "not db*", "G@mem.total>=0 and *l*-*"} {
		e, err := target.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			for ctx.Err() == nil {
				n := 0
				for _, id := range x.Select(e, "", 0) {
					if strings.HasPrefix(string(id), "still-") {
						n++
					}
				}
				if n != still {
					t.Errorf("%s: %d of those that stay, want %d", text, n, still)
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestSubset(t *testing.T) {
	t.Parallel()
	x := target.NewIndex()
	part := x.Subset()
	for n := range 10 {
		id := fleet.PeelID(fmt.Sprintf("web-%d", n))
		x.Put(id, &fleet.Facts{ID: id, OS: "Debian"})
		if n%2 == 0 {
			part.Add(id)
			part.Add(id)
		}
	}
	part.Add("nobody")
	part.Remove("web-2")
	part.Remove("web-3")
	x.Remove("web-4")
	x.Put("web-4", nil) // another host of that name
	e, err := target.Parse("G@os:Debian and not web-6")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]fleet.PeelID{"web-0", "web-8"}, part.Select(e, "", 0)); diff != "" || part.Len() != 3 || part.Has("web-4") || !part.Has("web-6") {
		t.Errorf("%d peels; %s", part.Len(), diff)
	}
}
