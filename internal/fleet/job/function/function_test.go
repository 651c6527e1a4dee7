package function

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/job"
	"github.com/rind-project/rind/internal/fleet/job/function/local"
	"github.com/rind-project/rind/internal/fleet/job/function/schema"
)

type testHost struct{}

func (testHost) ID() fleet.PeelID { return "web" }
func (testHost) Version() string  { return "1" }
func (testHost) Ask(context.Context, string, []byte) ([]byte, error) {
	return nil, errors.New("nobody to ask")
}
func (testHost) Settings(context.Context, bool) (string, map[string]any, error) {
	return "", nil, errors.New("no settings")
}
func (testHost) Event(context.Context, string, []byte) error { return errors.New("nobody to tell") }
func (testHost) Vouched(job.Word, []byte, []byte) error      { return errors.New("nobody says a word") }
func (testHost) Facts(context.Context) (fleet.Facts, error) {
	return fleet.Facts{ID: "web", OS: "Debian", Mem: fleet.Mem{Total: 42}}, nil
}

func TestClosest(t *testing.T) {
	t.Parallel()
	r := NewRegistry(All())
	for name, want := range map[string]string{
		"test.pin": "test.ping", "tset.ping": "test.ping", "fact.get": "facts.get", "cmd.rnu": "cmd.run",
		"completely.different.thing": "", strings.Repeat("x", 1<<16): "",
	} {
		_, err := r.Find(name)
		if err == nil || strings.Contains(err.Error(), "did you mean") != (want != "") || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v, want %q", name, err, want)
		}
		if len(err.Error()) > 300 {
			t.Errorf("the message has %d bytes", len(err.Error()))
		}
	}
}

// TestSchemasAndImplementationsAgree finds a function that is documented and
// not there, and one that is there and not documented.
func TestSchemasAndImplementationsAgree(t *testing.T) {
	t.Parallel()
	documented := map[string]bool{}
	for _, f := range All() {
		if f.Run == nil {
			t.Errorf("%s has no implementation", f.Name)
		}
		documented[f.Name] = true
	}
	for name := range implementations(local.Host()) {
		if !documented[name] {
			t.Errorf("%s has no schema", name)
		}
	}
}

func TestSimpleFunctions(t *testing.T) {
	t.Parallel()
	r := NewRegistry(All())
	tests := []struct {
		name string
		args []string
		want any
		err  string
	}{
		{"test.ping", nil, true, ""},
		{"test.echo", []string{"a=b"}, "a=b", ""},
		{"test.sleep", []string{"1ms"}, "1ms", ""},
		{"test.version", nil, "1", ""},
		{"facts.get", []string{"mem.total"}, int64(42), ""},
		{"grains.get", []string{"os"}, "Debian", ""},
		{"facts.get", []string{"mem.totla"}, nil, "did you mean mem.total?"},
		{"facts.get", []string{"nothing", "default=x"}, "x", ""},
		{"facts.has", []string{"os", "Debian"}, true, ""},
		{"facts.has", []string{"mem.total", "42"}, true, ""},
		{"facts.has", []string{"os", "Arch"}, false, ""},
		{"facts.has", []string{"nothing"}, false, ""},
	}
	for _, tt := range tests {
		f, err := r.Find(tt.name)
		if err != nil {
			t.Fatal(err)
		}
		res, err := f.Do(t.Context(), testHost{}, tt.args, 0)
		if tt.err != "" {
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%s %q: %v, want %q", tt.name, tt.args, err, tt.err)
			}
			continue
		}
		if err != nil || res.Value != tt.want {
			t.Errorf("%s %q: %v (%T), %v, want %v", tt.name, tt.args, res.Value, res.Value, err, tt.want)
		}
	}
}

func TestFailAndDoc(t *testing.T) {
	t.Parallel()
	r := NewRegistry(All())
	f, err := r.Find("test.fail")
	if err != nil {
		t.Fatal(err)
	}
	res, err := f.Do(t.Context(), testHost{}, []string{"out of luck", "code=7"}, 0)
	if err != nil || res.Failed != "out of luck" || res.ExitCode != 7 {
		t.Errorf("%+v, %v", res, err)
	}
	f, err = r.Find("sys.doc")
	if err != nil {
		t.Fatal(err)
	}
	res, err = f.Do(t.Context(), testHost{}, []string{"file"}, 0)
	if err != nil {
		t.Fatal(err)
	}
	if docs := res.Value.([]schema.Doc); len(docs) != 11 || docs[0].Usage != "file.read PATH [offset=size] [limit=size] [encoding=string]" {
		t.Errorf("%d functions: %+v", len(docs), docs[0])
	}
	if _, err := f.Do(t.Context(), testHost{}, []string{"file.raed"}, 0); err == nil || !strings.Contains(err.Error(), "did you mean file.read?") {
		t.Errorf("got %v", err)
	}
}
