package fleet_test

import (
	"testing"

	"github.com/rind-project/rind/internal/fleet"
)

func TestShares(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{"50": 50, "10%": 20, "0.1%": 1, "100%": 200, "33.3%": 67} {
		s, err := fleet.ParseShare(text, false)
		if err != nil || s.Of(200) != want || s.String() != text {
			t.Errorf("%s: %d %q %v", text, s.Of(200), s, err)
		}
		var back fleet.Share
		b, _ := s.MarshalText()
		if err := back.UnmarshalText(b); err != nil || back != s {
			t.Errorf("%s: %v %v", text, back, err)
		}
	}
	if z, err := fleet.ParseShare("0%", true); err != nil || z.IsZero() || z.Of(10) != 0 {
		t.Errorf("0%%: %v %v", z, err)
	}
	for _, bad := range []string{"", "0", "0%", "-1", "101%", "x", "1e3", "+5", "NaN%", "50 %", "05"} {
		if s, err := fleet.ParseShare(bad, false); err == nil {
			t.Errorf("%q is %v", bad, s)
		}
	}
}
