package schema

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestDecode(t *testing.T) {
	t.Parallel()
	f := Function{Name: "x.y", Args: []Arg{
		{Name: "what", Type: String, Required: true, Doc: "the thing"},
		{Name: "count", Type: Int}, {Name: "force", Type: Bool}, {Name: "wait", Type: Duration},
	}}
	tests := []struct {
		args []string
		want Values
		err  string
	}{
		{[]string{"a"}, Values{"what": "a"}, ""},
		{[]string{"count=3"}, Values{"what": "count=3"}, ""},
		{[]string{"a", "3", "true", "5s"}, Values{"what": "a", "count": 3, "force": true, "wait": 5 * time.Second}, ""},
		{[]string{"a", "wait=1m", "7"}, Values{"what": "a", "wait": time.Minute, "count": 7}, ""},
		{nil, nil, "x.y needs WHAT (the thing); usage: x.y WHAT [count=int] [force=bool] [wait=duration]"},
		{[]string{"a", "three"}, nil, `count is to be a whole number, not "three"`},
		{[]string{"a", "wait=soon"}, nil, "a duration such as 90s or 5m, or a number of seconds"},
		{[]string{"a", "cuont=3"}, nil, "did you mean count?"},
		{[]string{"a", "count=1", "count=2"}, nil, "given twice"},
		{[]string{"a", "1", "true", "1s", "more"}, nil, `no place for "more"`},
	}
	for _, tt := range tests {
		got, err := f.Decode(tt.args)
		if tt.err != "" {
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%q: %v, want %q", tt.args, err, tt.err)
			}
			continue
		}
		if diff := cmp.Diff(tt.want, got); err != nil || diff != "" {
			t.Errorf("%q: %v (-want +got):\n%s", tt.args, err, diff)
		}
	}
}

func TestPanicIsAnError(t *testing.T) {
	t.Parallel()
	f := Function{Name: "x.y", Run: func(context.Context, Call) (Result, error) { panic("oh") }}
	_, err := f.Do(t.Context(), nil, nil, 0)
	if p, ok := errors.AsType[*Panic](err); !ok || p.Value != "oh" || !strings.Contains(p.Stack, "decode_test.go") {
		t.Errorf("got %v", err)
	}
}

func TestDecodeTypesAndLimits(t *testing.T) {
	t.Parallel()
	f := Function{Name: "x.y", Args: []Arg{
		{Name: "names", Type: List, Required: true, Many: true, Doc: "names"},
		{Name: "limit", Type: Size, Default: "64KiB", Max: 1 << 20}, {Name: "by", Type: String, OneOf: []string{"cpu", "memory"}},
		{Name: "count", Type: Int, Max: 10}, {Name: "text", Type: String, Max: 8},
	}}
	tests := []struct {
		args []string
		want Values
		err  string
	}{
		{[]string{"a"}, Values{"names": []string{"a"}, "limit": int64(65536)}, ""},
		{[]string{"a,b=2", "c", "limit=1MB", "dragon=1:2"}, Values{"names": []string{"a", "b=2", "c", "dragon=1:2"}, "limit": int64(1000000)}, ""},
		{[]string{"a", "names=b", "by=cpu"}, Values{"names": []string{"a", "b"}, "by": "cpu", "limit": int64(65536)}, ""},
		{[]string{"a", "limti=3"}, nil, "did you mean limit?"},
		{[]string{"a", "limit=2MiB"}, nil, "limit is at most 1048576, not 2097152"},
		{[]string{"a", "limit=9999999999G"}, nil, "a size such as"},
		{[]string{"a", "limit=1x"}, nil, "a size such as"},
		{[]string{"a", "by=cup"}, nil, "by is one of cpu, memory, not \"cup\"; did you mean cpu?"},
		{[]string{"a", "count=11"}, nil, "count is at most 10"},
		{[]string{"a", "count=-1"}, nil, "count cannot be negative"},
		{[]string{"a", "text=123456789"}, nil, "text has 9 bytes, at most 8"},
		{[]string{"a", "text=a\x00b"}, nil, "a byte of zero"},
		{[]string{strings.Repeat("x", MaxText+1)}, nil, "at most 4096"},
		{[]string{strings.Repeat("x,", 1001)}, nil, "more than 1000 words"},
		{make([]string, maxArgs+1), nil, "at most 1200"},
	}
	for _, tt := range tests {
		got, err := f.Decode(tt.args)
		if tt.err != "" {
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%.60q: %v, want %q", tt.args, err, tt.err)
			}
			continue
		}
		if diff := cmp.Diff(tt.want, got); err != nil || diff != "" {
			t.Errorf("%q: %v (-want +got):\n%s", tt.args, err, diff)
		}
	}
}

func FuzzDecode(f *testing.F) {
	all := All()
	f.Add(0, "a\nb=c")
	f.Add(30, "/etc/hosts\ntest=true")
	f.Add(25, "9999999999999999T\nlimit=1e9")
	f.Fuzz(func(t *testing.T, which int, text string) {
		fn := all[(which%len(all)+len(all))%len(all)]
		v, err := fn.Decode(strings.Split(text, "\n"))
		if err != nil {
			if len(err.Error()) > 4000 {
				t.Errorf("the message has %d bytes", len(err.Error()))
			}
			return
		}
		for _, a := range fn.Args {
			if a.Required && !v.Has(a.Name) {
				t.Errorf("%s was decoded without %s", fn.Name, a.Name)
			}
		}
	})
}
