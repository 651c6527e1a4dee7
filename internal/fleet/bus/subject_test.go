package bus_test

import (
	"strings"
	"testing"

	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/bus"
)

func TestReturnSubject(t *testing.T) {
	t.Parallel()
	subject := bus.ReturnSubject("0198f", "web-01", 7)
	if subject != "ret.0198f.web-01.7" || bus.ReturnKey("0198f", "web-01", 7) != "0198f.web-01.7" {
		t.Errorf("subject %s", subject)
	}
	for _, s := range []string{subject, "0198f.web-01.7"} {
		jid, id, n, ok := bus.ParseReturn(s)
		if jid != "0198f" || id != "web-01" || n != 7 || !ok {
			t.Errorf("%s: %s %s %d %v", s, jid, id, n, ok)
		}
	}
	for _, s := range []string{"", "ret.", "ret.a.b", "ret..web.0", "ret.j.WEB.0", "ret.j.web.-1", "ret.j.web.+1", "ret.j.web.01", "ret.j.web.x", "ret.j.web.0.0", "ret.j..0", "ret.*.web.0", "ret.>.web.0", "ret.j j.web.0", "ret." + strings.Repeat("j", 65) + ".web.0"} {
		if _, _, _, ok := bus.ParseReturn(s); ok {
			t.Errorf("%q was taken for a return", s)
		}
	}
}

func TestParseHeartbeat(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]fleet.PeelID{"hb.web-01": "web-01", "hb.": "", "hb.a.b": "", "hb.A": "", "web-01": "", "evt.web-01": ""} {
		if id, ok := bus.ParseHeartbeat(s); ok != (want != "") || ok && id != want {
			t.Errorf("%s: %s %v", s, id, ok)
		}
	}
}

func FuzzParseReturn(f *testing.F) {
	f.Add("ret.0198f.web-01.7")
	f.Add("ret..x.-0")
	f.Fuzz(func(t *testing.T, s string) {
		jid, id, n, ok := bus.ParseReturn(s)
		if !ok {
			return
		}
		if got := bus.ReturnKey(jid, id, n); got != s && "ret."+got != s {
			t.Errorf("%q became %q", s, got)
		}
	})
}
