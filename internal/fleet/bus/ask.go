package bus

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"

	"github.com/rind-project/rind/internal/fleet"
)

// Answerer answers what a peel asks. The peel is the one that the subject
// names; data is as it came, at most PeelMaxPayload bytes of it. An error that
// wraps ErrRefused is final, any other one makes the peel ask again.
type Answerer func(ctx context.Context, id fleet.PeelID, data []byte) ([]byte, error)

// OwnReply reports whether the answer to a message goes to the inbox of the
// peel that its subject names. A message with another reply is not answered:
// the answer would be written there with a master's rights.
func OwnReply(msg *nats.Msg, id fleet.PeelID) bool {
	return strings.HasPrefix(msg.Reply, InboxPrefix(id)+".")
}

// CatchUp is what a peel says when it asks for the jobs that it missed.
type CatchUp struct {
	Have []string `json:"have,omitempty"` // the jobs that it runs, or whose returns it keeps
}

// Refused makes the error of an Answerer that will never give an answer.
func Refused(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrRefused, fmt.Sprintf(format, args...))
}

// Answer sends what an Answerer gave.
func Answer(msg *nats.Msg, data []byte, err error) {
	switch {
	case errors.Is(err, ErrRefused):
		Refuse(msg, strings.TrimPrefix(err.Error(), ErrRefused.Error()+": "))
	case err != nil:
		Retry(msg, err.Error())
	default:
		_ = msg.Respond(append([]byte(markOK), data...)) // the peel asks again
	}
}

// ReadAnswer reads what a master answered to a question.
func ReadAnswer(data []byte) ([]byte, error) {
	text := string(data[:min(len(data), len(markRefused))])
	switch {
	case strings.HasPrefix(text, markOK):
		return data[len(markOK):], nil
	case strings.HasPrefix(text, markRefused):
		return nil, Refused("%s", data[len(markRefused):])
	}
	return nil, errors.New(strings.TrimPrefix(string(data), markRetry))
}
