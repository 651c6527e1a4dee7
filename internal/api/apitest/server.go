package apitest

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/rind-project/rind/internal/access"
	"github.com/rind-project/rind/internal/api"
	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/base/database/databasetest"
	"github.com/rind-project/rind/internal/base/version"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/enroll"
	"github.com/rind-project/rind/internal/fleet/settings/compile"
	"github.com/rind-project/rind/internal/fleet/settings/layer"
	"github.com/rind-project/rind/internal/fleet/target"
	"github.com/rind-project/rind/internal/fleet/target/group"
)

// Server is the real API over services in memory.
type Server struct {
	API     *api.API
	Access  *access.Service
	Fleet   *Fleet
	Enroll  *Enroll
	Groups  *group.Store
	Layers  *layer.Store
	Files   *Files
	Network *Network
	Taps    *Taps
	Cluster *Cluster
	Basket  *Basket
	Events  *Events
	Backups *Backups
	Log     *Log

	Handler http.Handler // with the guard
	URL     string       // plain HTTP on TCP: only tokens tell who asks
	Socket  string       // where the caller is the administrator
}

// Pin is the pin that join commands carry.
const Pin = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

// Start serves an API until the test ends. change may take services away
// before it starts; it may be nil.
func Start(t testing.TB, change func(*api.Deps)) *Server {
	t.Helper()
	s := &Server{
		Fleet: NewFleet(), Enroll: &Enroll{Records: map[fleet.PeelID]enroll.Record{}},
		Files: &Files{}, Network: &Network{}, Taps: &Taps{}, Cluster: NewCluster(), Events: &Events{}, Log: &Log{}, Backups: &Backups{},
	}
	s.Basket = &Basket{}
	log := slog.New(slog.NewTextHandler(s.Log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	now := func() time.Time { return Now }
	db := databasetest.Open(t, database.SQLite, slices.Concat(access.Migrations(), group.Migrations(), layer.Migrations()))
	s.Access = access.New(access.Config{}, access.Deps{DB: db, Log: log, Now: now})
	s.Groups = group.New(group.Deps{DB: db, Now: now, Check: func(ctx context.Context, g target.Groups) error { return s.Layers.Check(ctx, g) }})
	s.Layers = layer.New(layer.Deps{DB: db, Groups: s.Groups, Now: now})
	var err error
	if s.Fleet.layers, err = compile.New(compile.Deps{Source: s.Layers}); err != nil {
		t.Fatal(err)
	}
	deps := api.Deps{
		Access: s.Access, Fleet: s.Fleet, Enroll: s.Enroll, Members: Members{}, Network: s.Network, Taps: s.Taps, Cluster: s.Cluster, Basket: s.Basket, Events: s.Events, Keys: &Keys{},
		Groups: s.Groups, Layers: s.Layers, Files: s.Files, Backups: s.Backups,
		Reports: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"status":"committed"}`)) }),
		Pin:     Pin, Log: log, Version: version.Info{Version: "v1.2.3", Commit: "abc", Go: "go1.26"},
		PublicURL: func(*http.Request) string { return "https://rind.example.net:8443" },
		Now:       now,
	}
	if change != nil {
		change(&deps)
	}
	s.API = api.New(deps)
	mux := http.NewServeMux()
	access.NewGuard(s.Access, access.GuardOptions{}).Mount(mux, s.API.Routes())
	s.Handler = mux
	s.serve(t)
	return s
}

func (s *Server) serve(t testing.TB) {
	t.Helper()
	tcp := httptest.NewServer(s.Handler)
	s.URL = tcp.URL
	s.Socket = filepath.Join(t.TempDir(), "s")
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", s.Socket)
	if err != nil {
		t.Fatal(err)
	}
	local := httptest.NewUnstartedServer(s.Handler)
	_ = local.Listener.Close()
	local.Listener = ln
	local.Config.ConnContext = access.UnixPeer
	local.Start()
	t.Cleanup(func() {
		_ = s.API.Stop(context.Background())
		local.Close()
		tcp.Close()
	})
}

// Admin is the principal of the machine's administrator.
var Admin = access.Principal{Name: "uid:0", Role: access.Admin, Via: access.ViaSocket}

// Token makes a token with a role.
func (s *Server) Token(t testing.TB, role access.Role) string {
	t.Helper()
	token, err := s.Access.CreateToken(t.Context(), Admin, "test", role, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return token
}
