package job

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
)

func TestJID(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	last := ""
	for n := range 1000 {
		jid := jidAt(at.Add(time.Duration(n) * 250 * time.Microsecond))
		id, err := uuid.Parse(jid)
		if err != nil || id.Version() != 7 || id.Variant() != uuid.RFC4122 || id.String() != jid || !ValidJID(jid) {
			t.Fatalf("%s: %v", jid, err)
		}
		if sec, ns := id.Time().UnixTime(); time.Unix(sec, ns).Sub(at.Add(time.Duration(n)*250*time.Microsecond)).Abs() > time.Millisecond {
			t.Fatalf("%s is of another time", jid)
		}
		if jid <= last {
			t.Fatalf("%s does not sort behind %s", jid, last)
		}
		last = jid
	}
	if one, other := NewJID(), NewJID(); one == other {
		t.Error("two ids are the same")
	}
	for _, bad := range []string{"", "x", strings.ToUpper(last), last + "0", strings.Replace(last, "-7", "-4", 1), strings.ReplaceAll(last, "-", "."), uuid.NewString()} {
		if ValidJID(bad) {
			t.Errorf("%q is taken", bad)
		}
	}
}
