// Package wire holds the JSON of the API under /api/v1: what goes in and what
// comes out of each route. The server encodes these types, the command line
// and the tests decode them. Tags say where a field travels: `path`, `query`,
// or `json` for the body; `doc` is its description in the OpenAPI document.
package wire

// Error is the body of every answer that is not a success.
type Error struct {
	Error ErrorDetail `json:"error"`
}

// ErrorDetail says what went wrong.
type ErrorDetail struct {
	Kind      string `json:"kind" doc:"stable word: invalid, not_found, conflict, unauthorized, forbidden, too_large, rate_limited, unavailable, gone, internal"`
	Message   string `json:"message" doc:"for the person who asked: what went wrong, and what to do next"`
	RequestID string `json:"request_id,omitempty" doc:"of an internal error: the server's log has the details under it"`
}

// Empty is the input or the output of a route that has none.
type Empty struct{}
