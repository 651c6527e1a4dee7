package tap

import (
	"testing"
	"time"

	"github.com/google/uuid"
)

func TestNewBoot(t *testing.T) {
	t.Parallel()
	now := time.Now().Truncate(time.Millisecond)
	id, err := uuid.Parse(newBoot(now))
	if err != nil || id.Version() != 7 || id.Variant() != uuid.RFC4122 {
		t.Fatalf("the boot is %v (%v)", id, err)
	}
	if s, ns := id.Time().UnixTime(); !time.Unix(s, ns).Equal(now) {
		t.Errorf("its time is %v, want %v", time.Unix(s, ns), now)
	}
	if one, other := newBoot(now), newBoot(now); one == other {
		t.Error("two boots have one id")
	}
	path, _ := writePcap(t, "x", nil)
	text, err := fileBoot(path)
	if id, parse := uuid.Parse(text); err != nil || parse != nil || id.Version() != 8 {
		t.Errorf("the file's boot is %q (%v)", text, err)
	}
}
