package client

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
)

// maxEvent bounds one server-sent event in bytes.
const maxEvent = 16 << 20

// Event is one server-sent event.
type Event struct {
	Name string
	Data []byte
}

// ErrCut says that a stream ended without its last event.
var ErrCut = errors.New("the stream of events was cut")

// Events calls visit for each event of a stream until visit returns false or
// an error. A stream that ends before that gives ErrCut.
func (c *Client) Events(ctx context.Context, path string, visit func(Event) (bool, error)) error {
	res, err := c.sendAny(ctx, http.MethodGet, path, nil, "text/event-stream")
	if err != nil {
		return err
	}
	defer res.Body.Close()
	err = readEvents(res.Body, visit)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// readEvents parses the format of the HTML standard, section 9.2.6, as far as
// it is used here: fields event and data, comments, blank lines.
func readEvents(r io.Reader, visit func(Event) (bool, error)) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 64<<10), maxEvent)
	var e Event
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case lines.Text() == "" && len(e.Data) > 0:
			more, err := visit(e)
			if err != nil || !more {
				return err
			}
			e = Event{}
		case name == "event":
			e.Name = value
		case name == "data":
			if len(e.Data) > 0 {
				e.Data = append(e.Data, '\n')
			}
			e.Data = append(e.Data, value...)
		}
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		return lines.Err()
	}
	return ErrCut
}
