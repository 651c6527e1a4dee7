package fleet

// TargetTest says whom a target means and why.
type TargetTest struct {
	Target  string        `json:"target"`
	Peels   int           `json:"peels"`   // that could be meant: all that are enrolled
	Matched int           `json:"matched"` // of them, on all pages
	Terms   []TargetTerm  `json:"terms"`   // in the order of the expression
	Matches []TargetMatch `json:"matches"` // one page, sorted by id
}

// TargetTerm is a term with the number of peels that it is true of by itself.
type TargetTerm struct {
	Term    string `json:"term"`
	Matched int    `json:"matched"`
}

// TargetMatch is a peel that is meant, with what each term says of it.
type TargetMatch struct {
	ID      PeelID         `json:"id"`
	Reasons []TargetReason `json:"reasons"`
}

// TargetReason is what a term says of a peel.
type TargetReason struct {
	Term    string   `json:"term"`
	Matched bool     `json:"matched"`
	Unknown bool     `json:"unknown,omitempty"` // nothing is known of the peel that could answer
	Values  []string `json:"values,omitempty"`  // that satisfied the term; or those that did not; untrusted
}
