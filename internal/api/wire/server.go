package wire

import "time"

// ServerTokenIn asks for a token with which one further server may join.
type ServerTokenIn struct {
	TTL   Span     `json:"ttl,omitzero" doc:"life of the token; 15 minutes without it"`
	Roles []string `json:"roles,omitempty" doc:"what the server will be: bus, master, node; all three without it"`
}

// ServerTokenOut is a token. It is shown this once.
type ServerTokenOut struct {
	ID      string    `json:"id" doc:"names the token in records; it is no secret"`
	Token   string    `json:"token"`
	Roles   []string  `json:"roles"`
	Expires time.Time `json:"expires"`
	Join    string    `json:"join" doc:"the command to type on the new server"`
}
