package bus

import (
	"errors"
	"testing"
)

func TestParseAsk(t *testing.T) {
	t.Parallel()
	for subject, want := range map[string][2]string{
		"from.web-1.ask.jobs":       {"web-1", "jobs"},
		"from.web-1.ask.basket.get": {"web-1", "basket.get"},
		"from.web-1.ask.":           {}, "from.web-1.ask": {}, "from.*.ask.jobs": {}, "from..ask.jobs": {}, "from.web-1.evt.jobs": {}, "": {}, "from.WEB.ask.jobs": {},
	} {
		id, what, ok := ParseAsk(subject)
		if ok != (want[0] != "") || ok && (string(id) != want[0] || what != want[1]) {
			t.Errorf("%q: %q %q %v", subject, id, what, ok)
		}
	}
	if id, name, ok := ParseEvent(EventSubject("a", "disk.full")); !ok || id != "a" || name != "disk.full" {
		t.Errorf("%q %q %v", id, name, ok)
	}
	for _, s := range []string{"from.a.evt", "from.a.evt.", "from..evt.x", "from.a.ask.x"} {
		if _, _, ok := ParseEvent(s); ok {
			t.Errorf("%q is an event", s)
		}
	}
}

func TestReadAnswer(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"+OK": "", "+OKthere": "there", "+OK-REFUSED x": "-REFUSED x"} {
		if got, err := ReadAnswer([]byte(in)); err != nil || string(got) != want {
			t.Errorf("%q: %q %v", in, got, err)
		}
	}
	if _, err := ReadAnswer([]byte("-REFUSED no")); !errors.Is(err, ErrRefused) {
		t.Errorf("a refusal: %v", err)
	}
	for _, in := range []string{"", "-RETRY later", "nonsense"} {
		if _, err := ReadAnswer([]byte(in)); err == nil || errors.Is(err, ErrRefused) {
			t.Errorf("%q: %v", in, err)
		}
	}
	if err := Refused("no %s", "such key"); !errors.Is(err, ErrRefused) || err.Error() != "the master refuses it: no such key" {
		t.Errorf("%v", err)
	}
}
