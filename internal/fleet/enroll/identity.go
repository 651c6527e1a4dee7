package enroll

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"

	"github.com/rind-project/rind/internal/base/disk"
	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/base/pki"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/bus"
	"github.com/rind-project/rind/internal/fleet/bus/keystore"
)

// Identity is an approved peel: who it is, how it proves it, and where the bus
// is. The exported fields do not change while it is in use.
type Identity struct {
	ID        fleet.PeelID
	Server    string            // "https://host:8443"
	Pin       string            // of the server's CA
	BusURLs   []string          // "tls://host:4222", as they were at the start; a renewal may give others
	CAPEM     []byte            // the CA of the bus
	FleetRoot ed25519.PublicKey // under which jobs are signed; pinned at enrollment, for ever

	dir    string
	caFile string
	tlsPin bool // the pin is checked in the handshake too
	key    nkeys.KeyPair

	mu   sync.Mutex
	jwt  string
	urls []string // of the bus, as the last renewal gave them
}

// stored is an identity in its file, beside the key's.
type stored struct {
	ID        fleet.PeelID `json:"id"`
	State     State        `json:"state"`
	Server    string       `json:"server"`
	Pin       string       `json:"pin"`
	TLSPin    bool         `json:"tls_pin"` // false: a CA vouches for the server, whose TLS a proxy may end
	CAFile    string       `json:"ca_file,omitempty"`
	BusURLs   []string     `json:"bus_urls,omitempty"`
	CAPEM     string       `json:"ca_pem,omitempty"`
	FleetRoot []byte       `json:"fleet_root,omitempty"`
	JWT       string       `json:"jwt,omitempty"`
}

// The name of the key and of the file in an identity's folder.
const (
	keyName      = "peel"
	identityFile = "identity.json"
)

// LoadIdentity reads what Join has kept. An enrollment that is not approved
// yet gives ErrPending; none at all gives an error of the kind NotFound.
func LoadIdentity(dir string) (*Identity, error) {
	st, err := readStored(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errs.New(errs.NotFound, "this host is not enrolled (there is nothing in %s): run rind enroll token on the server, and here the command that it prints", dir)
	}
	if err != nil {
		return nil, err
	}
	if st.State != Approved {
		return nil, fmt.Errorf("%s at %s: %w", st.ID, st.Server, ErrPending)
	}
	return st.identity(dir)
}

func readStored(dir string) (*stored, error) {
	path := filepath.Join(dir, identityFile)
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the identity: %w", err)
	}
	var st stored
	if err := json.Unmarshal(data, &st); err != nil {
		return nil, fmt.Errorf("the identity in %s is damaged; move the folder away and enroll again: %w", path, err)
	}
	if _, err := fleet.ParsePeelID(string(st.ID)); err != nil {
		return nil, fmt.Errorf("the identity in %s is damaged; move the folder away and enroll again: %w", path, err)
	}
	return &st, nil
}

func (st *stored) write(dir string) error {
	data, err := json.MarshalIndent(st, "", "  ")
	if err != nil {
		return fmt.Errorf("writing the identity: %w", err)
	}
	return disk.WriteFile(filepath.Join(dir, identityFile), append(data, '\n'))
}

func (st *stored) identity(dir string) (*Identity, error) {
	if len(st.FleetRoot) != ed25519.PublicKeySize {
		return nil, fmt.Errorf("the identity in %s lacks the fleet's root key; move the folder away and enroll again", dir)
	}
	key, err := openKey(dir)
	if err != nil {
		return nil, err
	}
	return &Identity{
		ID: st.ID, Server: st.Server, Pin: st.Pin, BusURLs: st.BusURLs, CAPEM: []byte(st.CAPEM),
		FleetRoot: st.FleetRoot, dir: dir, caFile: st.CAFile, tlsPin: st.TLSPin, key: key, jwt: st.JWT, urls: st.BusURLs,
	}, nil
}

func openKey(dir string) (nkeys.KeyPair, error) {
	store, err := keystore.Open(dir)
	if err != nil {
		return nil, err
	}
	return store.NKey(keyName, nkeys.PrefixByteUser)
}

// PublicKey is the key that the id is bound to.
func (i *Identity) PublicKey() string {
	pub, err := i.key.PublicKey()
	if err != nil {
		return ""
	}
	return pub
}

// UserJWT is the newest permission for the bus. It may have expired.
func (i *Identity) UserJWT() (string, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.jwt == "" {
		return "", errs.New(errs.Unavailable, "%s has no permission for the bus yet", i.ID)
	}
	return i.jwt, nil
}

// Sign answers a nonce of the bus.
func (i *Identity) Sign(nonce []byte) ([]byte, error) {
	if bytes.HasPrefix(nonce, []byte(domain)) {
		return nil, errs.New(errs.Forbidden, "the bus asked for a signature that belongs to an enrollment; refused")
	}
	return i.key.Sign(nonce)
}

// Expires says when the permission for the bus ends; zero when there is none.
func (i *Identity) Expires() time.Time {
	_, expires := i.lifetime()
	return expires
}

// RenewAt is a moment in the last third of the permission's life, another one
// at each call, so that a fleet does not renew in step. Without a permission
// it is in the past.
func (i *Identity) RenewAt() time.Time {
	issued, expires := i.lifetime()
	third := expires.Sub(issued) / 3
	if third <= 0 {
		return time.Time{}
	}
	// The last tenth of the third is left for trying again.
	return expires.Add(-third).Add(rand.N(third - third/10))
}

func (i *Identity) lifetime() (issued, expires time.Time) {
	token, err := i.UserJWT()
	if err != nil {
		return time.Time{}, time.Time{}
	}
	claims, err := jwt.DecodeUserClaims(token)
	if err != nil {
		return time.Time{}, time.Time{}
	}
	return time.Unix(claims.IssuedAt, 0), time.Unix(claims.Expires, 0)
}

// BusConfig is how this peel connects to the bus. The permission is asked for
// at each connect, so that a renewed one is used.
func (i *Identity) BusConfig(log *slog.Logger) (bus.ConnConfig, error) {
	tlsConfig, err := pki.BusTLS(i.CAPEM)
	if err != nil {
		return bus.ConnConfig{}, fmt.Errorf("the CA of the bus: %w", err)
	}
	i.mu.Lock()
	urls := i.urls
	i.mu.Unlock()
	return bus.ConnConfig{
		URLs: urls, TLS: tlsConfig, Name: string(i.ID), InboxPrefix: bus.InboxPrefix(i.ID),
		JWT: i.UserJWT, Sign: i.Sign, Log: log,
	}, nil
}
