package fleet_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/rind-project/rind/internal/fleet"
)

func TestParsePeelID(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"a", "web-01", "0_", "-", strings.Repeat("z", fleet.MaxPeelID)} {
		if id, err := fleet.ParsePeelID(good); err != nil || string(id) != good {
			t.Errorf("%q gives %q, %v", good, id, err)
		}
	}
	for bad, says := range map[string]string{
		"":                       "it is empty",
		"ä":                      `"ä" has "ä" at position 1`,
		"web日本":                  `has "日" at position 4`,
		"a\xffb":                 `has "\xff" at position 2`,
		"a\ufffd":                `has "�" at position 2`,
		"a.b":                    `has "." at position 2`,
		"A":                      `has "A" at position 1`,
		"a*":                     `has "*" at position 2`,
		"a\x1b":                  `has "\x1b" at position 2`,
		strings.Repeat("ä", 32):  "64 bytes long, at most 63",
		strings.Repeat("z", 100): "100 bytes long, at most 63",
	} {
		if id, err := fleet.ParsePeelID(bad); id != "" || !errors.Is(err, fleet.ErrPeelID) || !strings.Contains(err.Error(), says) {
			t.Errorf("%q gives %q, %v; want %s", bad, id, err, says)
		}
	}
}

func TestPeelIDFromHostname(t *testing.T) {
	t.Parallel()
	if id, err := fleet.PeelIDFromHostname("Web-01.Example.Org."); err != nil || id != "web-01_example_org" {
		t.Errorf("gives %q, %v", id, err)
	}
	if id, err := fleet.PeelIDFromHostname("web 01"); !errors.Is(err, fleet.ErrPeelID) {
		t.Errorf("a blank gives %q, %v", id, err)
	}
}
