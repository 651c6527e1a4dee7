package keystore_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nkeys"

	"github.com/rind-project/rind/internal/fleet/bus/keystore"
)

func open(t *testing.T) *keystore.Store {
	t.Helper()
	s, err := keystore.Open(filepath.Join(t.TempDir(), "keys"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestKeysStay(t *testing.T) {
	t.Parallel()
	s := open(t)
	nk, err := s.NKey("operator", nkeys.PrefixByteOperator)
	if err != nil {
		t.Fatal(err)
	}
	ed, err := s.Ed25519("root")
	if err != nil {
		t.Fatal(err)
	}
	if s, err = keystore.Open(s.Dir()); err != nil {
		t.Fatal(err)
	}
	again, err := s.NKey("operator", nkeys.PrefixByteOperator)
	if err != nil {
		t.Fatal(err)
	}
	a, _ := nk.Seed()
	b, _ := again.Seed()
	if !bytes.Equal(a, b) {
		t.Error("another NATS key was loaded")
	}
	if edAgain, err := s.Ed25519("root"); err != nil || !edAgain.Equal(ed) {
		t.Errorf("another ed25519 key was loaded (%v)", err)
	}
	if !s.Exists("operator") || s.Exists("other") || s.Exists("../operator") {
		t.Error("Exists is wrong")
	}
	dir, err := os.Stat(s.Dir())
	if err != nil || dir.Mode().Perm() != 0o700 {
		t.Errorf("folder %v, %v", dir.Mode(), err)
	}
	files, _ := os.ReadDir(s.Dir())
	if len(files) != 2 {
		t.Errorf("files left over: %v", files)
	}
	for _, f := range files {
		if info, _ := f.Info(); info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %o", f.Name(), info.Mode())
		}
	}
}

func TestKeysAreRefused(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		spoil func(path string) error
		says  string
	}{
		{"readable by others", func(p string) error { return os.Chmod(p, 0o640) }, "chmod 600"},
		{"empty", func(p string) error { return os.WriteFile(p, nil, 0o600) }, "backup"},
		{"garbage", func(p string) error { return os.WriteFile(p, []byte("SUgarbage"), 0o600) }, "backup"},
		{"huge", func(p string) error { return os.WriteFile(p, make([]byte, 5000), 0o600) }, "too large"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := open(t)
			if _, err := s.NKey("k", nkeys.PrefixByteUser); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Ed25519("k"); err != nil {
				t.Fatal(err)
			}
			for _, ext := range []string{".nk", ".ed25519"} {
				if err := tt.spoil(filepath.Join(s.Dir(), "k"+ext)); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := s.NKey("k", nkeys.PrefixByteUser); err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("NATS key: %v", err)
			}
			if _, err := s.Ed25519("k"); err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("ed25519 key: %v", err)
			}
		})
	}
	s := open(t)
	if _, err := s.NKey("account", nkeys.PrefixByteAccount); err != nil {
		t.Fatal(err)
	}
	if _, err := s.NKey("account", nkeys.PrefixByteOperator); err == nil {
		t.Error("a key of another kind was loaded")
	}
	for _, name := range []string{"", ".", "../x", "a/b", "A", strings.Repeat("a", 64)} {
		if _, err := s.NKey(name, nkeys.PrefixByteUser); err == nil {
			t.Errorf("the name %q was taken", name)
		}
	}
}
