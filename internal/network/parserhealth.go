package network

// ParserHealth is what one protocol parser of a tap did since the tap began to
// capture, all interfaces together.
type ParserHealth struct {
	Name         string `json:"name"`
	Recognised   uint64 `json:"recognised"`          // flows, or frames
	Transactions uint64 `json:"transactions"`        // rows that it reported
	LeftOut      uint64 `json:"left_out,omitempty"`  // rows that a limit kept out of a report
	Malformed    uint64 `json:"malformed,omitempty"` // flows or messages that went wrong
	Panics       uint64 `json:"panics,omitempty"`    // packets on which it failed
	GivenUp      uint64 `json:"given_up,omitempty"`  // flows not read to their end: a segment missing, no room, stopped in the middle
}

// AddParsers adds what the parsers of another pipeline did, by name.
func (h *Health) AddParsers(list []ParserHealth) {
	for _, o := range list {
		i := 0
		for i < len(h.Parsers) && h.Parsers[i].Name != o.Name {
			i++
		}
		if i == len(h.Parsers) {
			h.Parsers = append(h.Parsers, o)
			continue
		}
		p := &h.Parsers[i]
		p.Recognised += o.Recognised
		p.Transactions += o.Transactions
		p.LeftOut += o.LeftOut
		p.Malformed += o.Malformed
		p.Panics += o.Panics
		p.GivenUp += o.GivenUp
	}
}
