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
	if subject != "from.web-01.ret.0198f.7" || bus.ReturnKey("0198f", "web-01", 7) != "0198f.web-01.7" {
		t.Errorf("subject %s", subject)
	}
	for name, parse := range map[string]func() (string, fleet.PeelID, int, bool){
		"subject": func() (string, fleet.PeelID, int, bool) { return bus.ParseReturn(subject) },
		"key":     func() (string, fleet.PeelID, int, bool) { return bus.ParseReturnKey("0198f.web-01.7") },
		"forwarded": func() (string, fleet.PeelID, int, bool) {
			return bus.ParseForwarded(bus.ForwardSubject("0198f", "web-01", 7))
		},
	} {
		if jid, id, n, ok := parse(); jid != "0198f" || id != "web-01" || n != 7 || !ok {
			t.Errorf("%s: %s %s %d %v", name, jid, id, n, ok)
		}
	}
	for _, s := range []string{"", "from.web.ret.", "from.web.ret.a", "from..ret.j.0", "from.WEB.ret.j.0", "from.web.ret.j.-1", "from.web.ret.j.+1", "from.web.ret.j.01", "from.web.ret.j.x", "from.web.ret.j.0.0",
		"from.web.ret..0", "from.web.ret.*.0", "from.web.ret.>.0", "from.*.ret.j.0", "from.web.ret.j j.0", "from.web.evt.j.0", "from.web.ret." + strings.Repeat("j", 65) + ".0"} {
		if _, _, _, ok := bus.ParseReturn(s); ok {
			t.Errorf("%q was taken for a return", s)
		}
	}
	for _, s := range []string{"", "a.b", ".web.0", "j.WEB.0", "j.web.-1", "j.web.+1", "j.web.01", "j.web.x", "j.web.0.0", "j..0", "*.web.0", ">.web.0", "j j.web.0", strings.Repeat("j", 65) + ".web.0"} {
		if _, _, _, ok := bus.ParseReturnKey(s); ok {
			t.Errorf("%q was taken for the key of a return", s)
		}
	}
}

func TestParseHeartbeat(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]fleet.PeelID{"from.web-01.hb": "web-01", "from.web-01.still": "web-01", "from..hb": "", "from.a.b.hb": "", "from.A.hb": "", "from.web-01": "", "web-01": "", "from.web-01.evt.x": "", "from.*.hb": "", "from": "", "to.web-01.hb": ""} {
		if id, ok := bus.ParseHeartbeat(s); ok != (want != "") || ok && id != want {
			t.Errorf("%s: %s %v", s, id, ok)
		}
	}
}

func FuzzParseReturn(f *testing.F) {
	f.Add("from.web-01.ret.0198f.7")
	f.Add("from.x.ret..-0")
	f.Add("0198f.web-01.7")
	f.Fuzz(func(t *testing.T, s string) {
		if jid, id, n, ok := bus.ParseReturn(s); ok && bus.ReturnSubject(jid, id, n) != s {
			t.Errorf("%q became %q", s, bus.ReturnSubject(jid, id, n))
		}
		if jid, id, n, ok := bus.ParseReturnKey(s); ok && bus.ReturnKey(jid, id, n) != s {
			t.Errorf("%q became %q", s, bus.ReturnKey(jid, id, n))
		}
	})
}
