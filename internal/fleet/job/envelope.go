package job

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// magic opens every message; its last byte is the version of the envelope.
const magic = "RJ\x00\x01"

// errEnvelope is wrapped by every error of decodeEnvelope.
var errEnvelope = errors.New("not a job message")

// envelope is a message on a job subject:
//
//	magic (4 bytes)
//	delegation, its signature, body, its signature: each a uvarint length and the bytes
//	index of the leaf: uvarint
//	path: uvarint count, then 32 bytes each
//
// and nothing behind it.
type envelope struct {
	delegation Signed
	body       Signed
	index      int
	path       [][]byte
}

func (e *envelope) encode() []byte {
	n := len(magic) + 6*binary.MaxVarintLen64 + len(e.delegation.Bytes) + len(e.delegation.Signature) +
		len(e.body.Bytes) + len(e.body.Signature) + hashSize*len(e.path)
	b := append(make([]byte, 0, n), magic...)
	for _, part := range [][]byte{e.delegation.Bytes, e.delegation.Signature, e.body.Bytes, e.body.Signature} {
		b = append(binary.AppendUvarint(b, uint64(len(part))), part...)
	}
	b = binary.AppendUvarint(b, uint64(e.index))
	b = binary.AppendUvarint(b, uint64(len(e.path)))
	for _, p := range e.path {
		b = append(b, p...)
	}
	return b
}

// decodeEnvelope takes a message apart without copying it.
func decodeEnvelope(b []byte) (*envelope, error) {
	if len(b) > maxMessage {
		return nil, fmt.Errorf("%w: it has %d bytes, at most %d are allowed", errEnvelope, len(b), maxMessage)
	}
	if len(b) < len(magic) || string(b[:len(magic)]) != magic {
		return nil, fmt.Errorf("%w: it does not begin like one", errEnvelope)
	}
	b = b[len(magic):]
	var e envelope
	for _, part := range []*[]byte{&e.delegation.Bytes, &e.delegation.Signature, &e.body.Bytes, &e.body.Signature} {
		n, ok := uvarint(&b)
		if !ok || n > uint64(len(b)) {
			return nil, fmt.Errorf("%w: it is cut off", errEnvelope)
		}
		*part, b = b[:n:n], b[n:]
	}
	index, ok := uvarint(&b)
	count, ok2 := uvarint(&b)
	if !ok || !ok2 || index > 1<<32 || count > maxPath || uint64(len(b)) != count*hashSize {
		return nil, fmt.Errorf("%w: its path is damaged", errEnvelope)
	}
	e.index = int(index)
	for ; len(b) > 0; b = b[hashSize:] {
		e.path = append(e.path, b[:hashSize:hashSize])
	}
	return &e, nil
}

func uvarint(b *[]byte) (uint64, bool) {
	v, n := binary.Uvarint(*b)
	if n <= 0 {
		return 0, false
	}
	*b = (*b)[n:]
	return v, true
}
