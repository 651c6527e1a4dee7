package natsd_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"log/slog"
	"math/big"
	"net"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"

	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/bus"
	"github.com/rind-project/rind/internal/fleet/natsd"
)

// certificate makes a self-signed server certificate, and the client's side.
func certificate(t *testing.T) (server, client *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "bus"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, &tls.Config{RootCAs: pool}
}

// fleetBus is a running bus with what tests need of it.
type fleetBus struct {
	*natsd.Server
	t      *testing.T
	client *tls.Config
	log    *logBuffer
}

func testConfig() natsd.Config {
	cfg := natsd.DefaultConfig()
	cfg.Listen = "127.0.0.1:0"
	cfg.JetStream.MaxFileStore = "2GiB"
	cfg.JetStream.MaxMemStore = "256MiB"
	cfg.ReadyTimeout = 30 * time.Second
	return cfg
}

func startBus(t *testing.T, dir string) *fleetBus {
	t.Helper()
	return startBusWith(t, dir, testConfig())
}

func startBusWith(t *testing.T, dir string, cfg natsd.Config) *fleetBus {
	t.Helper()
	return startBusOn(t, dir, cfg, false)
}

func startBusOn(t *testing.T, dir string, cfg natsd.Config, hold bool) *fleetBus {
	t.Helper()
	serverTLS, clientTLS := certificate(t)
	b := &fleetBus{t: t, client: clientTLS, log: &logBuffer{}}
	b.Server = natsd.New(cfg, natsd.Deps{Log: slog.New(slog.NewTextHandler(b.log, nil)), DataDir: dir, TLS: serverTLS, Hold: hold})
	if err := b.Start(t.Context()); err != nil {
		t.Fatalf("start: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := b.Stop(ctx); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	return b
}

// master connects as the server does.
func (b *fleetBus) master() *nats.Conn {
	b.t.Helper()
	return b.local(b.ServerUser)
}

func (b *fleetBus) local(user func() (string, func([]byte) ([]byte, error), error)) *nats.Conn {
	b.t.Helper()
	token, sign, err := user()
	if err != nil {
		b.t.Fatal(err)
	}
	nc, err := bus.Connect(b.t.Context(), bus.ConnConfig{
		InProcess: b.InProcess(), Once: true, Sign: sign, Name: "test",
		JWT: func() (string, error) { return token, nil },
	})
	if err != nil {
		b.t.Fatalf("connect in process: %v", err)
	}
	b.t.Cleanup(nc.Close)
	return nc
}

func (b *fleetBus) js(nc *nats.Conn) jetstream.JetStream {
	b.t.Helper()
	js, err := jetstream.New(nc)
	if err != nil {
		b.t.Fatal(err)
	}
	return js
}

// key makes the key of a peel.
func key(t *testing.T) (nkeys.KeyPair, string) {
	t.Helper()
	kp, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	pub, err := kp.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	return kp, pub
}

// peelConfig is how a peel connects, with a permission issued just now.
func (b *fleetBus) peelConfig(id fleet.PeelID, kp nkeys.KeyPair) bus.ConnConfig {
	b.t.Helper()
	pub, _ := kp.PublicKey()
	token, err := b.IssuePeel(pub, id, time.Hour)
	if err != nil {
		b.t.Fatal(err)
	}
	return bus.ConnConfig{
		URLs: []string{"tls://" + b.Addr()}, TLS: b.client, Once: true, Name: string(id),
		InboxPrefix: bus.InboxPrefix(id), Sign: kp.Sign,
		JWT:           func() (string, error) { return token, nil },
		ReconnectWait: 20 * time.Millisecond,
	}
}

func (b *fleetBus) peel(id fleet.PeelID) *nats.Conn {
	b.t.Helper()
	kp, _ := key(b.t)
	nc, err := bus.Connect(b.t.Context(), b.peelConfig(id, kp))
	if err != nil {
		b.t.Fatalf("connect as %s: %v", id, err)
	}
	b.t.Cleanup(nc.Close)
	return nc
}
