package bus

import (
	"errors"

	"github.com/nats-io/nats.go"
)

// The answers of a master to what a peel says: a mark, and a text for the log.
const (
	markOK      = "+OK"
	markRefused = "-REFUSED "
	markRetry   = "-RETRY "
)

// ErrRefused is wrapped by the error of a message that no master will ever
// take; sending it again is no use.
var ErrRefused = errors.New("the master refuses it")

// ErrNoMaster says that no master listens just now.
var ErrNoMaster = errors.New("no master is on the bus")

// Accept answers that the message is stored. An answer that is lost makes the
// peel ask again.
func Accept(msg *nats.Msg) { _ = msg.Respond([]byte(markOK)) }

// Refuse answers that the message will never be taken.
func Refuse(msg *nats.Msg, why string) { _ = msg.Respond([]byte(markRefused + why)) }

// Retry answers that the message could not be stored now.
func Retry(msg *nats.Msg, why string) { _ = msg.Respond([]byte(markRetry + why)) }
