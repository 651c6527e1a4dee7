// Package enroll is how a host becomes a peel: the words of it, and the half
// that runs on the host. It links neither the NATS server nor SQL; the
// server's half is in the package registrar.
//
// The host makes its key pair itself and the seed never leaves it. With a
// token it asks for a nonce (begin), signs it (answer), and asks with a
// signature (poll) until a person, or the token, has approved it. Then it is
// given a permission for the bus that lives 24 hours, and renews it by proving
// again that it has the key (begin with the purpose renew, then renew).
package enroll

import (
	"time"

	"github.com/rind-project/rind/internal/fleet"
)

// State says where an enrollment stands.
type State string

// The states of an enrollment. A rejected key may ask again with a new token; a
// revoked one may not, unless another key has taken its id since, and then only
// a person can let it in.
const (
	Pending  State = "pending"
	Approved State = "approved"
	Rejected State = "rejected"
	Revoked  State = "revoked"

	// Suspended is a peel that is kept off the bus for a time, or until one of
	// two hosts with its key is enrolled again. It keeps its id.
	Suspended State = "suspended"
)

// Record is one enrollment, as the bucket enrollments keeps it. Hostname and
// Version come from the host and are untrusted.
type Record struct {
	ID          fleet.PeelID      `json:"id"`
	State       State             `json:"state"`
	PublicKey   string            `json:"public_key"`  // nkey of kind user, "U…"
	Fingerprint string            `json:"fingerprint"` // of the key, for people to compare
	Address     string            `json:"address,omitempty"`
	Hostname    string            `json:"hostname,omitempty"`
	Version     string            `json:"version,omitempty"`
	Created     time.Time         `json:"created"`
	Decided     time.Time         `json:"decided,omitzero"`
	By          string            `json:"by,omitempty"`         // who decided; "token <id>" when the token did
	TokenID     string            `json:"token_id,omitempty"`   // which token it came with
	Replaces    bool              `json:"replaces,omitempty"`   // waits for approve --replace: the id is another key's
	Suspension  *fleet.Suspension `json:"suspension,omitempty"` // why, of a suspended one
	Next        *Record           `json:"next,omitempty"`       // of Show: the one that waits to replace this one
}

// Limits of what a host may say.
const (
	MaxBody     = 16 << 10 // bytes of a request or an answer of the server's four exchanges (renewals: 64 KiB down)
	MaxHostname = 253
	MaxVersion  = 64
	MaxToken    = 128
	MaxClockOff = 5 * time.Minute // between the host's clock and the server's
	JWTLife     = 24 * time.Hour  // of a peel's permission for the bus
)

// Purpose says what a nonce is for.
type Purpose string

// A nonce serves one purpose.
const (
	ForJoin  Purpose = "join"
	ForRenew Purpose = "renew"
)

// BeginRequest asks for a nonce.
type BeginRequest struct {
	Purpose   Purpose      `json:"purpose,omitempty"` // "" is ForJoin
	Token     string       `json:"token,omitempty"`   // ForJoin only
	ID        fleet.PeelID `json:"id"`
	PublicKey string       `json:"public_key"`
	Hostname  string       `json:"hostname,omitempty"`
	Version   string       `json:"version,omitempty"`
	Time      time.Time    `json:"time"` // the host's clock
}

// BeginResponse carries the nonce.
type BeginResponse struct {
	Challenge string    `json:"challenge"` // names the nonce in the answer
	Nonce     []byte    `json:"nonce"`
	Pin       string    `json:"pin"`  // the server's CA pin; the host signs the one that it saw
	Time      time.Time `json:"time"` // the server's clock
}

// AnswerRequest proves possession of the key. Signature is over Message.
type AnswerRequest struct {
	Challenge string       `json:"challenge"`
	ID        fleet.PeelID `json:"id"`
	PublicKey string       `json:"public_key"`
	Signature []byte       `json:"signature"`
}

// AnswerResponse says where the enrollment stands.
type AnswerResponse struct {
	State   State     `json:"state"`
	Message string    `json:"message,omitempty"` // for the person at the host
	Time    time.Time `json:"time"`
}

// PollRequest asks how it stands. Signature is over PollMessage.
type PollRequest struct {
	ID        fleet.PeelID `json:"id"`
	PublicKey string       `json:"public_key"`
	Time      time.Time    `json:"time"`
	Signature []byte       `json:"signature"`
}

// Grant is what an approved peel is given. It answers a poll and a renewal.
type Grant struct {
	State     State     `json:"state"`
	Message   string    `json:"message,omitempty"`
	JWT       string    `json:"jwt,omitempty"`      // and the rest too only when approved
	BusURLs   []string  `json:"bus_urls,omitempty"` // without a host ("tls://:4222"): at the host where the server is
	CAPEM     []byte    `json:"ca_pem,omitempty"`
	FleetRoot []byte    `json:"fleet_root,omitempty"` // ed25519 public key
	Time      time.Time `json:"time"`
}

// RenewRequest asks for a new JWT with the answer to a nonce.
type RenewRequest = AnswerRequest
