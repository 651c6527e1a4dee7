package settings

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet"
)

// AskGet is what a peel asks for.
const AskGet = "settings.get"

// KindNotice tells a notice of settings from others.
const KindNotice = "settings"

// Notice tells peels of new settings.
type Notice struct {
	Kind     string `json:"kind"`
	At       int64  `json:"at"`                 // the state of layers and groups that it was compiled from
	Revision string `json:"revision,omitempty"` // of the settings; "" may be any
	// Spread is over how long peels spread their questions, in milliseconds.
	Spread int64 `json:"spread,omitempty"`
}

// Request is a peel's question for its settings.
type Request struct {
	Have string `json:"have,omitempty"` // the revision that it has
	At   int64  `json:"at,omitempty"`   // the state that it was told of, at least
	// Nonce is made for this question, so that no answer to an earlier one can
	// be shown as the answer. A peel of before signed answers sends none.
	Nonce string `json:"nonce,omitempty"`
}

// Compiled are the settings of a peel, as they travel and as it keeps them.
type Compiled struct {
	At       int64           `json:"at"`
	Revision string          `json:"revision"`
	Values   json.RawMessage `json:"values,omitempty"` // absent when the peel has this revision
	// Proof is a master's signature over Said; absent when the question has no
	// nonce.
	Proof []byte `json:"proof,omitempty"`
}

// Said is what a master signs of an answer: whom it is for, the question that
// it answers, the state, and the values, also when they do not travel because
// the peel has them. It is never sent: each side makes it of what it knows.
func Said(id fleet.PeelID, nonce string, at int64, values []byte) []byte {
	sum := sha256.Sum256(values)
	b := make([]byte, 0, len(id)+len(nonce)+len(sum)+3*binary.MaxVarintLen64)
	for _, part := range []string{string(id), nonce} {
		b = append(binary.AppendUvarint(b, uint64(len(part))), part...)
	}
	return append(binary.AppendVarint(b, at), sum[:]...)
}

// Revision names settings by their content.
func Revision(values []byte) string {
	sum := sha256.Sum256(values)
	return hex.EncodeToString(sum[:8])
}

// Encode makes the JSON and the revision of settings, within the limit.
func Encode(v Values) (data []byte, revision string, err error) {
	data, err = encode(v)
	if err != nil {
		return nil, "", fmt.Errorf("encoding settings: %w", err)
	}
	if len(data) > MaxMerged {
		return nil, "", errs.New(errs.TooLarge, "the settings have %d bytes once they are merged, at most %d reach a peel", len(data), MaxMerged)
	}
	return data, Revision(data), nil
}

// ParseRequest reads a peel's question.
func ParseRequest(data []byte) (Request, error) {
	var r Request
	if len(data) > maxRequest {
		return r, errs.New(errs.TooLarge, "the question has %d bytes, at most %d are read", len(data), maxRequest)
	}
	if len(data) == 0 {
		return r, nil
	}
	if err := json.Unmarshal(data, &r); err != nil {
		return r, errs.New(errs.Invalid, "the question cannot be read: %w", err)
	}
	return r, nil
}

// ParseNotice reads a notice, and reports whether it is one of settings.
func ParseNotice(data []byte) (Notice, bool) {
	var n Notice
	if len(data) > maxRequest || json.Unmarshal(data, &n) != nil || n.Kind != KindNotice {
		return n, false
	}
	n.Spread = min(max(n.Spread, 0), (10 * time.Minute).Milliseconds())
	return n, true
}

// ParseCompiled reads settings and holds them against their revision.
func ParseCompiled(data []byte) (Compiled, error) {
	var c Compiled
	if len(data) > MaxMerged+2*maxRequest {
		return c, errs.New(errs.TooLarge, "the settings have %d bytes, at most %d are taken", len(data), MaxMerged)
	}
	if err := json.Unmarshal(data, &c); err != nil {
		return c, errs.New(errs.Invalid, "the settings cannot be read: %w", err)
	}
	if len(c.Values) == 0 {
		return c, nil
	}
	if Revision(c.Values) != c.Revision {
		return c, errs.New(errs.Invalid, "the settings are damaged: they are not of the revision %.32q", c.Revision)
	}
	if _, err := Decode(c.Values); err != nil {
		return c, errs.New(errs.Invalid, "%w", err)
	}
	return c, nil
}
