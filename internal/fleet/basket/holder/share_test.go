package holder_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/fleettest"
	"github.com/rind-project/rind/internal/fleet/peel"
)

// run starts the runtime of a peel, which looks at what it shares often.
func run(t *testing.T, c *fleettest.Credentials, dir string, items ...peel.BasketItem) (*peel.Peel, *prometheus.Registry) {
	t.Helper()
	cfg := peel.DefaultConfig()
	cfg.StateDir, cfg.Basket = dir, peel.BasketConfig{Interval: time.Minute, Items: items}
	if err := cfg.Basket.Validate(); err != nil {
		t.Fatal(err)
	}
	cfg.Basket.Interval = 200 * time.Millisecond
	reg := prometheus.NewRegistry()
	p := peel.New(cfg, peel.Deps{Log: fleettest.Log(), Credentials: c, Version: "test", Metrics: reg})
	if err := p.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { fleettest.Stop(t, p) })
	return p, reg
}

// TestPeelShares: facts, functions and commands become values, are sent when
// they change, and go when they leave the configuration.
func TestPeelShares(t *testing.T) {
	t.Parallel()
	s := begin(t, fleettest.Start(t, t.TempDir()))
	dir, state := t.TempDir(), t.TempDir()
	role := filepath.Join(dir, "role")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(role, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("primary\n")
	creds := s.Enroll("web-1")
	kernel := peel.BasketItem{Name: "kernel", Fact: "kernel_name"}
	items := []peel.BasketItem{
		kernel, {Name: "echo", Function: "test.echo", Args: []string{"<hello>"}}, {Name: "role", Command: "cat " + role},
		{Name: "json", Command: `echo '{"port": 5432}'`}, {Name: "broken", Command: "echo no >&2; exit 3"}, {Name: "nofact", Fact: "no.such"},
		{Name: "large", Command: "head -c 70000 /dev/zero | tr '\\0' x"}, {Name: "failing", Function: "test.fail"},
	}
	p, reg := run(t, creds, state, items...)
	const rest = ` web-1.json={"port":5432} web-1.kernel="Linux"`
	fleettest.Eventually(t, "the values are shared", func() error {
		return shares(t, s, `web-1.echo="<hello>"`+rest+` web-1.role="primary"`)
	})
	fleettest.Eventually(t, "those that cannot be found are counted", func() error {
		if n := labelled(t, reg, "rind_peel_values_failed_total"); n < 4 {
			return fmt.Errorf("%v", n)
		}
		return nil
	})
	write("replica")
	fleettest.Eventually(t, "the new value is shared", func() error { return shares(t, s, `web-1.echo="<hello>"`+rest+` web-1.role="replica"`) })
	if n := labelled(t, reg, "rind_peel_values_shared_total"); n != 5 {
		t.Errorf("%v values were sent, want each once and the changed one again", n)
	}
	fleettest.Stop(t, p)

	p, reg = run(t, creds, state, kernel, peel.BasketItem{Name: "role", Command: "cat " + role})
	fleettest.Eventually(t, "what left the configuration is gone", func() error { return shares(t, s, `web-1.kernel="Linux" web-1.role="replica"`) })
	fleettest.Stop(t, p)
	if n := labelled(t, reg, "rind_peel_values_shared_total"); n != 0 {
		t.Errorf("%v values were sent that the masters had", n)
	}

	p, _ = run(t, creds, state)
	fleettest.Eventually(t, "a configuration without values leaves none", func() error { return shares(t, s, "") })
	fleettest.Eventually(t, "the mark goes", func() error {
		if _, err := os.Stat(filepath.Join(state, "basket-shared")); err == nil {
			return os.ErrExist
		}
		return nil
	})
	fleettest.Stop(t, p)
}

func labelled(t *testing.T, reg *prometheus.Registry, name string) (sum float64) {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name {
				sum += m.GetCounter().GetValue()
			}
		}
	}
	return sum
}

// TestFunctionsOfTheBasket runs them as jobs on real peels.
func TestFunctionsOfTheBasket(t *testing.T) {
	t.Parallel()
	s := begin(t, fleettest.Start(t, t.TempDir()))
	run(t, s.Enroll("a"), t.TempDir())
	run(t, s.Enroll("b"), t.TempDir())
	do := func(target, function string, args ...string) string {
		t.Helper()
		j, err := s.master.Run(t.Context(), fleet.JobRequest{Target: target, Function: function, Args: args, Timeout: 20 * time.Second, By: "tester"})
		if err != nil {
			t.Fatal(err)
		}
		events, err := s.master.Watch(t.Context(), j.JID)
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for e := range events {
			if e.Return != nil {
				out = append(out, strings.TrimSpace(string(e.Return.Value)+" "+e.Return.Error))
			}
		}
		return strings.Join(out, " | ")
	}
	fleettest.Eventually(t, "the peels are there", func() error {
		if got := do("*", "test.ping"); got != "true | true" {
			return fmt.Errorf("%s", got)
		}
		return nil
	})
	for _, tt := range []struct{ function, args, want string }{
		{"basket.put", "role\x00primary", "true"},
		{"basket.put", "port\x005432", "true"},
		{"basket.get", "a\x00role", `{"a":"primary"}`},
		{"mine.get", "*\x00port", `{"a":5432}`},
		{"basket.get", "b\x00role", "no rule lets a read role"},
		{"basket.get", "a and\x00role", "column 6"},
		{"basket.put", "Role\x00x", "no name of a shared value"},
		{"basket.remove", "role", "true"},
		{"basket.remove", "role", "false"},
	} {
		if got := do("a", tt.function, strings.Split(tt.args, "\x00")...); !strings.Contains(got, tt.want) {
			t.Errorf("%s %q: %s, want %s", tt.function, tt.args, got, tt.want)
		}
	}
	var items []fleet.BasketItem
	if err := json.Unmarshal([]byte(do("a", "basket.list")), &items); err != nil || len(items) != 1 || items[0].Name != "port" {
		t.Errorf("%+v %v", items, err)
	}
}
