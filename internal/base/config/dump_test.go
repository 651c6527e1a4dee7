package config

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rind-project/rind/internal/base/errs"
)

func TestDumpFormats(t *testing.T) {
	t.Parallel()
	src := Source{
		File: "testdata/everything/in.yaml", FileRequired: true, Prefix: "RIND",
		Env: []string{"RIND_WORKERS=9"}, Flags: map[string]string{"listen": "true"},
	}
	origins, err := Load(defaults(), src)
	if err != nil {
		t.Fatal(err)
	}
	for _, format := range []string{"table", "yaml", "json"} {
		var out bytes.Buffer
		if err := origins.Dump(&out, format); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(out.String(), "hunter2") {
			t.Errorf("%s shows a secret", format)
		}
		golden := filepath.Join("testdata", "dump."+format)
		if *update {
			if err := os.WriteFile(golden, out.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), out.String()); diff != "" {
			t.Errorf("%s: -want +got:\n%s", format, diff)
		}
	}
	if err := origins.Dump(&bytes.Buffer{}, "xml"); !errs.Is(err, errs.Invalid) {
		t.Errorf("xml: %v", err)
	}
}

// FuzzFile feeds any text as a file. What loads must dump as YAML that loads
// to the same values.
func FuzzFile(f *testing.F) {
	inputs, err := filepath.Glob("testdata/*/in.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, in := range inputs {
		text, err := os.ReadFile(in)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		origins, err := loadText(t, text)
		if err != nil {
			return
		}
		var first, second bytes.Buffer
		if err := origins.Dump(&first, "yaml"); err != nil {
			t.Fatal(err)
		}
		again, err := loadText(t, first.Bytes())
		if err != nil {
			t.Fatalf("the dump does not load: %v\n%s", err, first.String())
		}
		if err := again.Dump(&second, "yaml"); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(values(origins), values(again)); diff != "" {
			t.Errorf("values changed:\n%s\n%s", diff, first.String())
		}
	})
}

func loadText(t *testing.T, text []byte) (*Origins, error) {
	file := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return Load(defaults(), Source{File: file})
}

func values(o *Origins) map[string]string {
	m := map[string]string{}
	for _, r := range o.rows {
		m[r.key] = oneLine(r.value)
	}
	return m
}

func TestURLsAreMasked(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                                    "",
		"postgres://rind@db/rind":             "postgres://rind@db/rind",
		"postgres://rind:hunter2@db/rind":     "postgres://rind:xxxxx@db/rind",
		"postgres://db/rind?password=hunter2": "postgres://db/rind?password=xxxxx",
		"postgres://db/rind?sslmode=verify-full&%70assword=hunter2&connect_timeout=5": "postgres://db/rind?sslmode=verify-full&%70assword=xxxxx&connect_timeout=5",
		"https://a:hunter2@x.example/f?license_KEY=hunter2&suffix=tar.gz&Token":       "https://a:xxxxx@x.example/f?license_KEY=xxxxx&suffix=tar.gz&Token=xxxxx",
		"/var/lib/GeoIP/GeoLite2-Country.mmdb":                                        "/var/lib/GeoIP/GeoLite2-Country.mmdb",
		"host=db password=hunter2":                                                    mask,
		"postgres://rind:hunter2@db:port/rind":                                        mask,
	} {
		if got := masked(text, "url"); got != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
}
