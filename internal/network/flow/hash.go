package flow

import (
	"crypto/rand"
	"encoding/binary"
	"math/bits"
)

// hasher mixes keys by 64x64-bit multiplications with secret seeds.
type hasher [6]uint64

func newHasher() hasher {
	var b [48]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	var h hasher
	for i := range h {
		h[i] = binary.LittleEndian.Uint64(b[i*8:]) | 1
	}
	return h
}

func mix(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}

func (h *hasher) sum(k *key) uint64 {
	a := mix(k[0]^h[0], k[1]^h[1])
	b := mix(k[2]^h[2], k[3]^h[3])
	return mix(a^k[4]^h[4], b^k[5]*h[1]^h[5])
}
