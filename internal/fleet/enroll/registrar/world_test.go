package registrar_test

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/base/database/databasetest"
	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/base/pki"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/bus"
	"github.com/rind-project/rind/internal/fleet/enroll"
	"github.com/rind-project/rind/internal/fleet/enroll/registrar"
	"github.com/rind-project/rind/internal/fleet/natsd"
)

// world is a server that hosts can enroll at: the real broker, the registrar
// and its four exchanges over HTTPS.
type world struct {
	*registrar.Registrar
	t   *testing.T
	bus *natsd.Server
	ca  *pki.CA
	url string
	web *http.Server // at url
	cfg registrar.Config
	dep registrar.Deps
	js  jetstream.JetStream

	mu       sync.Mutex
	ahead    time.Duration // of the server's clock
	buses    []string      // that peels are told of beside this one
	forgot   []fleet.PeelID
	forgetIt func(fleet.PeelID) error
}

func (w *world) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return time.Now().Add(w.ahead)
}

func (w *world) setClock(ahead time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ahead = ahead
}

func (w *world) forget(_ context.Context, id fleet.PeelID) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.forgot = append(w.forgot, id)
	if w.forgetIt != nil {
		return w.forgetIt(id)
	}
	return nil
}

func newWorld(t *testing.T) *world {
	t.Helper()
	return newWorldWith(t, registrar.DefaultConfig(), databasetest.Open(t, database.SQLite, registrar.Migrations()))
}

func newWorldWith(t *testing.T, cfg registrar.Config, db *database.DB) *world {
	t.Helper()
	w := &world{t: t, cfg: cfg}
	dir := t.TempDir()
	var err error
	if w.ca, err = pki.OpenCA(dir + "/pki"); err != nil {
		t.Fatal(err)
	}
	serverTLS, err := w.ca.ServerTLS([]string{"127.0.0.1", pki.BusName})
	if err != nil {
		t.Fatal(err)
	}
	w.startBus(dir, serverTLS)
	w.dep = registrar.Deps{
		DB: db, JS: func() (jetstream.JetStream, error) { return w.js, nil }, Issuer: w.bus,
		CAPEM: w.ca.CertPEM(), Pin: w.ca.Pin(), FleetRoot: w.bus.FleetKeys().Root.Public().(ed25519.PublicKey),
		BusURLs: w.busURLs, Forget: w.forget, Log: slog.New(slog.DiscardHandler), Now: w.now,
	}
	w.Registrar = w.registrar(w.dep)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w.url, w.web = "https://"+l.Addr().String(), w.serve(l, serverTLS)
	return w
}

// registrar starts one more on the same buckets and tables.
func (w *world) registrar(deps registrar.Deps) *registrar.Registrar {
	w.t.Helper()
	r := registrar.New(w.cfg, deps)
	if err := r.Start(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		if err := r.Stop(context.Background()); err != nil {
			w.t.Error(err)
		}
	})
	return r
}

func (w *world) startBus(dir string, serverTLS *tls.Config) {
	w.t.Helper()
	cfg := natsd.DefaultConfig()
	cfg.Listen, cfg.ReadyTimeout = "127.0.0.1:0", 30*time.Second
	cfg.JetStream.MaxFileStore, cfg.JetStream.MaxMemStore = "2GiB", "256MiB"
	w.bus = natsd.New(cfg, natsd.Deps{Log: slog.New(slog.DiscardHandler), DataDir: dir, TLS: serverTLS})
	if err := w.bus.Start(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = w.bus.Stop(context.Background()) })
	token, sign, err := w.bus.ServerUser()
	if err != nil {
		w.t.Fatal(err)
	}
	nc, err := bus.Connect(w.t.Context(), bus.ConnConfig{InProcess: w.bus.InProcess(), Once: true, Sign: sign, JWT: func() (string, error) { return token, nil }})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(nc.Close)
	if w.js, err = jetstream.New(nc); err != nil {
		w.t.Fatal(err)
	}
	if err := bus.Ensure(w.t.Context(), w.js, 1); err != nil {
		w.t.Fatal(err)
	}
}

// busURLs leaves the host to the peel, as a server does that listens on every
// address.
func (w *world) busURLs(string) []string {
	_, port, err := net.SplitHostPort(w.bus.Addr())
	if err != nil {
		w.t.Error(err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]string{"tls://:" + port}, w.buses...)
}

func (w *world) serve(l net.Listener, serverTLS *tls.Config) *http.Server {
	srv := &http.Server{Handler: w.mux(), TLSConfig: serverTLS, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo)}
	go srv.ServeTLS(l, "", "")
	w.t.Cleanup(func() { srv.Close() })
	return srv
}

func (w *world) mux() *http.ServeMux {
	mux := http.NewServeMux()
	handle(mux, "begin", w.Begin)
	handle(mux, "answer", w.Answer)
	handle(mux, "poll", w.Poll)
	handle(mux, "renew", w.Renew)
	return mux
}

// handle is what the API does with an exchange.
func handle[In, Out any](mux *http.ServeMux, name string, f func(context.Context, In, netip.Addr) (Out, error)) {
	mux.HandleFunc("POST /api/v1/enroll/"+name, func(w http.ResponseWriter, r *http.Request) {
		var in In
		err := json.NewDecoder(http.MaxBytesReader(w, r.Body, enroll.MaxBody)).Decode(&in)
		var out any
		if err == nil {
			out, err = f(r.Context(), in, netip.MustParseAddrPort(r.RemoteAddr).Addr())
		}
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			out = map[string]any{"error": map[string]string{"kind": errs.KindOf(err).String(), "message": err.Error()}}
		}
		_ = json.NewEncoder(w).Encode(out)
	})
}

func (w *world) token(auto bool) string {
	w.t.Helper()
	tok, err := w.CreateToken(w.t.Context(), registrar.TokenRequest{AutoApprove: auto, By: "admin"})
	if err != nil {
		w.t.Fatal(err)
	}
	return tok.Secret
}

// host is a host's side: what the join command line says.
func (w *world) host(id fleet.PeelID, token string) enroll.JoinConfig {
	return enroll.JoinConfig{Server: w.url, Pin: w.ca.Pin(), Token: token, ID: id, Dir: w.t.TempDir(), Log: slog.New(slog.DiscardHandler)}
}

func (w *world) join(cfg enroll.JoinConfig) *enroll.Identity {
	w.t.Helper()
	id, err := enroll.Join(w.t.Context(), cfg)
	if err != nil {
		w.t.Fatalf("joining as %s: %v", cfg.ID, err)
	}
	return id
}

// pend joins and expects to wait.
func (w *world) pend(cfg enroll.JoinConfig) {
	w.t.Helper()
	if _, err := enroll.Join(w.t.Context(), cfg); !errors.Is(err, enroll.ErrPending) {
		w.t.Fatalf("joining as %s: %v, want to wait", cfg.ID, err)
	}
}

// connect brings a peel onto the bus. The channel closes when it is thrown out.
func (w *world) connect(id *enroll.Identity) (*nats.Conn, <-chan struct{}) {
	w.t.Helper()
	cfg, err := id.BusConfig(nil)
	if err != nil {
		w.t.Fatal(err)
	}
	cfg.Once = true
	out := make(chan struct{})
	var once sync.Once
	cfg.OnDisconnect = func(*nats.Conn, error) { once.Do(func() { close(out) }) }
	nc, err := bus.Connect(w.t.Context(), cfg)
	if err != nil {
		w.t.Fatalf("%s on the bus: %v", id.ID, err)
	}
	w.t.Cleanup(nc.Close)
	return nc, out
}

// refused checks the kind of an error and that it says what to do.
func refused(t *testing.T, err error, kind errs.Kind, says string) {
	t.Helper()
	if !errs.Is(err, kind) || !strings.Contains(err.Error(), says) {
		t.Errorf("got %v (%s), want %s saying %q", err, errs.KindOf(err), kind, says)
	}
}
