package pki

import (
	"crypto/tls"
	"sync"
	"time"
)

// renewer hands out a certificate and replaces it when it grows old.
type renewer struct {
	ca    *CA
	issue func() (tls.Certificate, error)

	mu      sync.Mutex
	pair    *tls.Certificate
	checked time.Time
}

// get is for tls.Config.GetCertificate.
func (r *renewer) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.ca.now()
	if now.Sub(r.checked) < renewEvery {
		return r.pair, nil
	}
	r.checked = now
	if r.ca.current(r.pair.Leaf) {
		return r.pair, nil
	}
	if pair, err := r.issue(); err == nil {
		r.pair = &pair
	}
	return r.pair, nil
}
