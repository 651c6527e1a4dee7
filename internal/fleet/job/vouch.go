package job

import (
	"encoding/binary"
	"fmt"
	"time"
)

// vouchMagic opens every proof; its last byte is the version.
const vouchMagic = "RV\x00\x01"

// Word is the kind of something that a master says to a peel beside jobs. It
// keeps a signature of one kind from being shown as another.
type Word string

// What masters say: answers to a question for settings, and for values of the
// basket.
const (
	WordSettings Word = "rind settings v1\x00"
	WordBasket   Word = "rind basket v1\x00"
)

// Vouch signs what a master says to a peel beside jobs, and returns the proof
// that goes with it:
//
//	magic (4 bytes)
//	delegation, its signature, the signature of what is said: each a uvarint length and the bytes
//
// What is said must name the peel, and what keeps an older answer from being
// shown again: both sides make it of what they know, and it is never sent.
func (s *Signer) Vouch(w Word, said []byte) ([]byte, error) {
	b := append(make([]byte, 0, len(vouchMagic)+3*binary.MaxVarintLen64+len(s.delegation.Bytes)+2*len(s.delegation.Signature)), vouchMagic...)
	for _, part := range [][]byte{s.delegation.Bytes, s.delegation.Signature, signWith(s.key, string(w), said)} {
		b = append(binary.AppendUvarint(b, uint64(len(part))), part...)
	}
	return b, nil
}

// Vouch signs what a master says; see Signer.Vouch.
func (c *Current) Vouch(w Word, said []byte) ([]byte, error) {
	s, err := c.current()
	if err != nil {
		return nil, err
	}
	return s.Vouch(w, said)
}

// Vouched refuses what no master has said: a key that the fleet's root has
// delegated must have signed it, in its time, and be one that may address this
// peel. It counts nothing.
func (v *Verifier) Vouched(w Word, said, proof []byte) *Refusal {
	if len(proof) == 0 {
		return silent(ReasonUnsigned, "it is not signed")
	}
	by, signature, err := decodeProof(proof)
	if err != nil {
		return silent(ReasonMalformed, "%v", err)
	}
	if len(by.Signature) == 0 || len(signature) == 0 {
		return silent(ReasonUnsigned, "it is not signed")
	}
	d, err := v.passed.verify(by, v.root)
	if err != nil {
		return silent(ReasonSignature, "%v", err)
	}
	switch {
	case !(Signed{Bytes: said, Signature: signature}).verify(d.key, string(w)):
		return silent(ReasonSignature, "the signature is not by the delegated key, or for something else")
	case v.now().After(d.NotAfter):
		return silent(ReasonDelegation, "the key that signed it was delegated until %s", d.NotAfter.UTC().Format(time.RFC3339))
	case !d.scope.Match(v.id, nil):
		return silent(ReasonScope, "the key that signed it may address %s only", d.Scope)
	}
	return nil
}

func decodeProof(b []byte) (by Signed, signature []byte, err error) {
	if len(b) > maxDelegation+1<<10 || len(b) < len(vouchMagic) || string(b[:len(vouchMagic)]) != vouchMagic {
		return by, nil, fmt.Errorf("it has %d bytes that are no signature", len(b))
	}
	b = b[len(vouchMagic):]
	for _, part := range []*[]byte{&by.Bytes, &by.Signature, &signature} {
		n, ok := uvarint(&b)
		if !ok || n > uint64(len(b)) {
			return by, nil, fmt.Errorf("its signature is cut off")
		}
		*part, b = b[:n:n], b[n:]
	}
	if len(b) > 0 {
		return by, nil, fmt.Errorf("there is something behind its signature")
	}
	return by, signature, nil
}
