// Package connection tells a master which peels are connected to the bus: by
// the events of the system account as they happen, and by the servers' lists,
// which show what no event told.
//
// Whose a connection is, its JWT says, which the server has verified; the name
// that a client gives itself is not believed.
package connection

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"

	"github.com/rind-project/rind/internal/fleet"
)

// ID is one connection on one server.
type ID struct {
	Server string // another one after each start of the server
	CID    uint64
}

// Traffic is what a connection has sent to its server.
type Traffic struct{ Msgs, Bytes int64 }

// Entry is a peel's connection, as an event or a list has it.
type Entry struct {
	ID
	Peel    fleet.PeelID
	Name    string // of the client's own choice; holds its process's mark
	Address string // where it connects from
	Start   time.Time
	Sent    Traffic // nothing when it begins
	Revoked bool    // the server ended it, since its permission is good no longer
}

// revoked is why a server ended a connection (ClosedState of nats-server).
const revoked = "Credentials Revoked"

// client is a connection on the wire.
type client struct {
	ID    uint64    `json:"id"`   // in events
	Host  string    `json:"host"` // in events
	CID   uint64    `json:"cid"`  // in lists
	IP    string    `json:"ip"`   // in lists
	JWT   string    `json:"jwt"`
	Start time.Time `json:"start"`
	Name  string    `json:"name"`

	InMsgs  int64 `json:"in_msgs"` // in lists
	InBytes int64 `json:"in_bytes"`
}

// peel returns the id in the JWT, when it is a peel's: those alone are signed
// by a scoped key, which makes them name the account.
func (c *client) peel() (fleet.PeelID, bool) {
	parts := strings.Split(c.JWT, ".")
	if len(parts) != 3 {
		return "", false
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return "", false
	}
	var claims struct {
		Name string `json:"name"`
		NATS struct {
			Account string `json:"issuer_account"`
		} `json:"nats"`
	}
	if json.Unmarshal(raw, &claims) != nil || claims.NATS.Account == "" {
		return "", false
	}
	id, err := fleet.ParsePeelID(claims.Name)
	return id, err == nil
}

// broker is a server of the bus. Its id is another one after each start, its
// name is not.
type broker struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// event is a connect or disconnect event of the system account.
type event struct {
	Server broker   `json:"server"`
	Client client   `json:"client"`
	Sent   struct { // by the client, when it ended
		Msgs  int64 `json:"msgs"`
		Bytes int64 `json:"bytes"`
	} `json:"sent"`
	Reason string `json:"reason"` // of its end
}
