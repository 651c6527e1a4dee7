package cli_test

import (
	"testing"
	"time"

	"github.com/rind-project/rind/internal/api/apitest"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/enroll"
)

func TestSuspended(t *testing.T) {
	t.Parallel()
	s := apitest.Start(t, nil)
	flood := &fleet.Suspension{Reason: fleet.SuspendedFlood, Detail: "for 10s it has sent more than 1000 messages or 67108864 bytes a second; 90000 messages with 720000 bytes were dropped",
		Since: before(time.Minute), Until: before(-14 * time.Minute)}
	copied := &fleet.Suspension{Reason: fleet.SuspendedCopy, Detail: "two processes have been connected with its key for 1m31s",
		Since: before(time.Hour), Addresses: []string{"192.0.2.7", "192.0.2.8"}}
	s.Fleet.Add(fleet.Peel{ID: "web-01", Presence: fleet.CutOff, Since: flood.Since, LastSeen: flood.Since, Address: "192.0.2.9", Suspension: flood}, nil)
	s.Fleet.Add(fleet.Peel{ID: "web-02", Presence: fleet.CutOff, Since: copied.Since, LastSeen: copied.Since, Suspension: copied}, nil)
	s.Fleet.Add(fleet.Peel{ID: "web-03", Presence: fleet.Connected, Since: before(time.Hour), LastSeen: before(time.Second)}, nil)
	s.Enroll.Records["web-01"] = enroll.Record{ID: "web-01", State: enroll.Suspended, Fingerprint: "SHA256:ab", Created: before(time.Hour), By: "master m1", Suspension: flood}
	s.Enroll.Records["web-02"] = enroll.Record{ID: "web-02", State: enroll.Suspended, Fingerprint: "SHA256:cd", Created: before(time.Hour), By: "master m1", Suspension: copied}
	golden(t, "suspended", on(t, s).transcript(t,
		[]string{"peel", "list", "--wide"},
		[]string{"peel", "show", "web-01"},
		[]string{"peel", "show", "web-02", "-o", "json"},
		[]string{"enroll", "list", "--state", "suspended", "--wide"},
		[]string{"enroll", "show", "web-02"},
		[]string{"enroll", "approve", "web-01"},
	))
}
