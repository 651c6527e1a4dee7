package web

import (
	"context"
	"net/http"
	"net/netip"
	"time"

	"github.com/rind-project/rind/internal/access"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/enroll"
	"github.com/rind-project/rind/internal/fleet/enroll/registrar"
	"github.com/rind-project/rind/internal/fleet/event"
	"github.com/rind-project/rind/internal/fleet/master"
	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/ingest"
	"github.com/rind-project/rind/internal/network/node"
	"github.com/rind-project/rind/internal/network/node/cluster"
	"github.com/rind-project/rind/internal/network/store"
)

// Access is what the pages need of the people and programs.
type Access interface {
	Login(ctx context.Context, name, password string, addr netip.Addr) (string, access.Principal, error)
	Logout(ctx context.Context, secret string) error
	Cookie(secret string) *http.Cookie
	GoneCookie() *http.Cookie
	ChangePassword(ctx context.Context, p access.Principal, old, pass string, addr netip.Addr) error
	Audit(ctx context.Context, e access.Entry) error
	CreateToken(ctx context.Context, p access.Principal, name string, role access.Role, ttl time.Duration) (string, error)
	ListTokens(ctx context.Context, p access.Principal) ([]access.TokenInfo, error)
	RevokeToken(ctx context.Context, p access.Principal, id string) error
	AuditList(ctx context.Context, limit int, before string) ([]access.Entry, error)
	Users
}

// Users are the accounts of people.
type Users interface {
	Users(ctx context.Context) ([]access.User, error)
	CreateUser(ctx context.Context, p access.Principal, name, pass string, role access.Role) error
	SetRole(ctx context.Context, p access.Principal, name string, role access.Role) error
	SetPassword(ctx context.Context, p access.Principal, name, pass string) error
	DeleteUser(ctx context.Context, p access.Principal, name string) error
}

// Fleet is the master's side: hosts and jobs.
type Fleet interface {
	Peels(ctx context.Context, q master.PeelQuery) ([]fleet.Peel, error)
	Peel(ctx context.Context, id fleet.PeelID) (fleet.Peel, error)
	Counts(ctx context.Context) (master.Counts, error)
	Run(ctx context.Context, req fleet.JobRequest) (fleet.Job, error)
	Jobs(ctx context.Context, limit int) ([]fleet.Job, error)
	JobsOf(ctx context.Context, id fleet.PeelID, limit int) ([]fleet.Job, error)
	Job(ctx context.Context, jid string) (fleet.Job, []fleet.Return, error)
	Glance(ctx context.Context, jid string) (fleet.Job, error)
	Watch(ctx context.Context, jid string) (<-chan fleet.JobEvent, error)
	Control(ctx context.Context, jid, action, by string) (fleet.Job, error)
	Retry(ctx context.Context, jid, by string) (fleet.Job, error)
	Changes(ctx context.Context) <-chan struct{}
}

// Enroll admits hosts.
type Enroll interface {
	CreateToken(ctx context.Context, req registrar.TokenRequest) (registrar.Token, error)
	List(ctx context.Context, state string) ([]enroll.Record, error)
	Show(ctx context.Context, id fleet.PeelID) (enroll.Record, error)
	Approve(ctx context.Context, id fleet.PeelID, by string, replace bool) error
	Reject(ctx context.Context, id fleet.PeelID, by string) error
	Revoke(ctx context.Context, id fleet.PeelID, by string) error
}

// Events is what hosts and people tell of.
type Events interface {
	Latest(ctx context.Context, q event.Query) ([]fleet.Event, error)
	Changes(ctx context.Context) <-chan struct{}
}

// Traffic is what the taps reported.
type Traffic interface {
	Flows(ctx context.Context, q store.FlowQuery) ([]store.Flow, error)
	DNS(ctx context.Context, q store.DNSQuery) ([]store.DNS, error)
	TLS(ctx context.Context, q store.TLSQuery) ([]store.TLS, error)
	Traffic(ctx context.Context, from, to time.Time, bucket time.Duration) ([]store.TrafficPoint, error)
	TopTalkers(ctx context.Context, from, to time.Time, limit int) ([]store.Talker, error)
	LatestNames(ctx context.Context, limit int) ([]store.Name, error)
	LatestServers(ctx context.Context, limit int) ([]store.Name, error)
	Losses(ctx context.Context, from, to time.Time) ([]store.Loss, error)
	Ledgers(ctx context.Context, q store.LedgerQuery) ([]store.Ledger, error)
	KindInfos(ctx context.Context) ([]store.KindInfo, error)
	Storage(ctx context.Context) (store.Storage, error)
	Records(ctx context.Context, q store.RecordQuery) ([]store.Record, error)
	Gaps(ctx context.Context, tap network.TapID, limit int) ([]store.Gap, error)
}

// Cluster knows the nodes that take what the taps report.
type Cluster interface {
	Status(context.Context) (node.Status, error)
	Tasks(context.Context) ([]cluster.Task, error)
	RetryTask(ctx context.Context, id string) error
}

// Taps knows the sensors.
type Taps interface {
	Taps(ctx context.Context) ([]ingest.TapInfo, error)
	AddTapOf(ctx context.Context, tenant, name string, ttl time.Duration) (string, error)
	RotateTap(ctx context.Context, name string, ttl time.Duration) (string, error)
	RevokeTap(ctx context.Context, name string) error
	TenantUses(context.Context) ([]store.TenantUse, error)
}
