package peel

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/bus"
	"github.com/rind-project/rind/internal/fleet/settings"
)

// alone are the credentials of a peel whose bus is away.
type alone struct{}

func (alone) Who() (fleet.PeelID, ed25519.PublicKey) {
	return "web-1", ed25519.NewKeyFromSeed(make([]byte, 32)).Public().(ed25519.PublicKey)
}
func (alone) BusConfig(*slog.Logger) (bus.ConnConfig, error) {
	return bus.ConnConfig{URLs: []string{"tls://127.0.0.1:1"}, JWT: func() (string, error) { return "", nil }, Sign: func([]byte) ([]byte, error) { return nil, nil }}, nil
}
func (alone) RenewAt() time.Time          { return time.Now().Add(time.Hour) }
func (alone) Renew(context.Context) error { return errors.New("nobody to ask") }

func kept(t *testing.T, data []byte) *Peel {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, settingsFile), data, 0o600); err != nil {
		t.Fatal(err)
	}
	p := New(Config{StateDir: dir}, Deps{Credentials: alone{}})
	if err := p.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := p.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	return p
}

// A peel whose bus is away has the settings that an earlier process kept.
func TestSettingsWithoutBus(t *testing.T) {
	t.Parallel()
	values, revision, err := settings.Encode(settings.Values{"role": "web"})
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(settings.Compiled{At: 3, Revision: revision, Values: values})
	if err != nil {
		t.Fatal(err)
	}
	p := kept(t, data)
	got, v, err := host{p}.Settings(t.Context(), false)
	if err != nil || got != revision || v["role"] != "web" {
		t.Errorf("%s %v %v", got, v, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, _, err := (host{p}).Settings(ctx, true); err == nil {
		t.Error("they are refreshed without a bus")
	}
}

// What is damaged on the disk is not used.
func TestDamagedSettings(t *testing.T) {
	t.Parallel()
	p := kept(t, []byte(`{"at":3,"revision":"0011223344556677","values":{"role":"web"}}`))
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if revision, v, err := (host{p}).Settings(ctx, false); err == nil {
		t.Errorf("%s %v", revision, v)
	}
}
