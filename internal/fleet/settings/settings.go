// Package settings holds what hosts are configured with: named layers, each
// with an order, a target and a tree of values, which are merged in their order
// into the settings of each peel. It holds the words, the merging and the
// messages; layers are stored by settings/layer and compiled for peels by
// settings/compile.
package settings

import (
	"encoding/json"
	"time"

	"github.com/rind-project/rind/internal/base/errs"
)

// Limits.
const (
	MaxLayers  = 500
	MaxData    = 256 << 10 // bytes of a layer, as it is written and as JSON
	MaxMerged  = 512 << 10 // bytes of a peel's settings as JSON
	MaxDepth   = 32        // maps and lists within one another
	MaxNodes   = 20000     // values of a layer, with what aliases repeat
	MaxKey     = 256       // bytes of a key in a map
	MaxOrder   = 1_000_000
	maxName    = 64
	maxRequest = 4 << 10
)

// Values is a tree of settings: maps, lists ([]any), texts, whole numbers
// (int64, uint64), float64, bool and nil. It is shared and never changed.
type Values = map[string]any

// Layer is a layer as it is kept.
type Layer struct {
	Name    string    `json:"name"`
	Order   int       `json:"order"`  // small ones first; what comes later wins
	Target  string    `json:"target"` // whom it is for
	Data    string    `json:"data,omitempty"`
	Bytes   int       `json:"bytes"` // of the data
	By      string    `json:"by"`    // who changed it last
	Changed time.Time `json:"changed"`
}

// Effective is what a peel is configured with, and where it comes from.
type Effective struct {
	Peel     string   `json:"peel"`
	Revision string   `json:"revision"`
	Layers   []string `json:"layers"` // that are for it, in their order

	Values  json.RawMessage `json:"values"`
	Origins []Origin        `json:"origins"` // of each value, sorted by key
}

// Origin says which layer a value comes from.
type Origin struct {
	Key   string          `json:"key"` // dotted
	Value json.RawMessage `json:"value"`
	Layer string          `json:"layer"`
}

// CheckName refuses what cannot be the name of a layer.
func CheckName(name string) error {
	if name == "" {
		return errs.New(errs.Invalid, "the name of a layer is missing")
	}
	if len(name) > maxName {
		return errs.New(errs.Invalid, "the layer's name has %d characters, at most %d are allowed", len(name), maxName)
	}
	for _, c := range []byte(name) {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' && c != '.' {
			return errs.New(errs.Invalid, "the layer %.80q: %q cannot stand in its name; it has letters, digits, ., _ and -", name, c)
		}
	}
	return nil
}
