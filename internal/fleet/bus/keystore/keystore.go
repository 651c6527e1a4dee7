// Package keystore keeps named secret keys in a folder: each is a seed in a
// file that its owner alone can read, written in one step and synced, so that
// a key that was ever used is there after a power cut.
package keystore

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/nats-io/nkeys"

	"github.com/rind-project/rind/internal/base/disk"
)

// Store is a folder of keys.
type Store struct{ dir string }

// Open returns the store in a folder, which it makes (0700) when it is not
// there.
func Open(dir string) (*Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the keys folder: %w", err)
	}
	return &Store{dir: dir}, nil
}

// Dir is the folder.
func (s *Store) Dir() string { return s.dir }

// NKey loads the NATS key of that name, or makes it. The prefix says of which
// kind it has to be: nkeys.PrefixByteUser, PrefixByteAccount, PrefixByteOperator.
func (s *Store) NKey(name string, prefix nkeys.PrefixByte) (nkeys.KeyPair, error) {
	path, err := s.path(name, ".nk")
	if err != nil {
		return nil, err
	}
	seed, err := readSecret(path)
	if errors.Is(err, fs.ErrNotExist) {
		return createNKey(path, prefix)
	}
	if err != nil {
		return nil, err
	}
	have, _, err := nkeys.DecodeSeed(seed)
	if err != nil || have != prefix {
		return nil, fmt.Errorf("the key file %s holds no %s seed; put back the one from the backup", path, prefix)
	}
	return nkeys.FromSeed(seed)
}

func createNKey(path string, prefix nkeys.PrefixByte) (nkeys.KeyPair, error) {
	kp, err := nkeys.CreatePair(prefix)
	if err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	seed, err := kp.Seed()
	if err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	return kp, disk.WriteFile(path, append(seed, '\n'))
}

// KeepNKey keeps a NATS key that was made elsewhere.
func (s *Store) KeepNKey(name string, kp nkeys.KeyPair) error {
	path, err := s.path(name, ".nk")
	if err != nil {
		return err
	}
	seed, err := kp.Seed()
	if err != nil {
		return fmt.Errorf("keeping the key %s: %w", name, err)
	}
	return disk.WriteFile(path, append(seed, '\n'))
}

// Ed25519 loads the signing key of that name, or makes it.
func (s *Store) Ed25519(name string) (ed25519.PrivateKey, error) {
	path, err := s.path(name, ".ed25519")
	if err != nil {
		return nil, err
	}
	text, err := readSecret(path)
	if errors.Is(err, fs.ErrNotExist) {
		seed := make([]byte, ed25519.SeedSize)
		rand.Read(seed)
		text := base64.StdEncoding.EncodeToString(seed) + "\n"
		return ed25519.NewKeyFromSeed(seed), disk.WriteFile(path, []byte(text))
	}
	if err != nil {
		return nil, err
	}
	seed, err := base64.StdEncoding.DecodeString(string(text))
	if err != nil || len(seed) != ed25519.SeedSize {
		return nil, fmt.Errorf("the key file %s holds no ed25519 seed; put back the one from the backup", path)
	}
	return ed25519.NewKeyFromSeed(seed), nil
}

// Names returns the names of the NATS keys that begin with a prefix.
func (s *Store) Names(prefix string) ([]string, error) {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, fmt.Errorf("reading the keys folder: %w", err)
	}
	var names []string
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), ".nk"); ok && strings.HasPrefix(name, prefix) {
			names = append(names, name)
		}
	}
	return names, nil
}

// Remove removes a NATS key. One that is not there is no error.
func (s *Store) Remove(name string) error {
	path, err := s.path(name, ".nk")
	if err != nil {
		return err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing a key: %w", err)
	}
	return nil
}

// Exists reports whether an NATS key of that name is kept.
func (s *Store) Exists(name string) bool {
	path, err := s.path(name, ".nk")
	if err != nil {
		return false
	}
	_, err = os.Stat(path)
	return err == nil
}

var nameForm = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)

func (s *Store) path(name, ext string) (string, error) {
	if !nameForm.MatchString(name) {
		return "", fmt.Errorf("%q is no name for a key", name)
	}
	return filepath.Join(s.dir, name+ext), nil
}

// readSecret reads a small file and refuses one that others may read.
func readSecret(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("reading a key: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("the key file %s can be read by others (mode %o); chmod 600 it", path, info.Mode().Perm())
	}
	if info.Size() > 4096 {
		return nil, fmt.Errorf("the key file %s is too large to be one", path)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading a key: %w", err)
	}
	return []byte(strings.TrimSpace(string(data))), nil
}
