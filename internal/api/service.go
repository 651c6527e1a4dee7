package api

import (
	"context"
	"net/http"
	"net/netip"
	"time"

	"github.com/rind-project/rind/internal/access"
	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/enroll"
	"github.com/rind-project/rind/internal/fleet/enroll/registrar"
	"github.com/rind-project/rind/internal/fleet/master"
	"github.com/rind-project/rind/internal/fleet/settings"
	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/ingest"
	"github.com/rind-project/rind/internal/network/store"
)

// Fleet is the master.
type Fleet interface {
	Peels(context.Context, master.PeelQuery) ([]fleet.Peel, error)
	Peel(context.Context, fleet.PeelID) (fleet.Peel, error)
	TestTarget(context.Context, master.PeelQuery) (fleet.TargetTest, error)
	Run(context.Context, fleet.JobRequest) (fleet.Job, error)
	Plan(context.Context, fleet.JobRequest) (fleet.JobPlan, error)
	Control(ctx context.Context, jid, action, by string) (fleet.Job, error)
	Retry(ctx context.Context, jid, by string) (fleet.Job, error)
	Jobs(ctx context.Context, limit int) ([]fleet.Job, error)
	Job(ctx context.Context, jid string) (fleet.Job, []fleet.Return, error)
	Watch(ctx context.Context, jid string) (<-chan fleet.JobEvent, error)
	Changes(context.Context) <-chan struct{}
	Settings(context.Context, fleet.PeelID) (settings.Effective, error)
}

// Enroll is the server's half of enrollment: people decide, hosts ask.
type Enroll interface {
	Decider
	Joiner
}

// Decider is enrollment for people.
type Decider interface {
	CreateToken(context.Context, registrar.TokenRequest) (registrar.Token, error)
	List(ctx context.Context, state string) ([]enroll.Record, error)
	Show(context.Context, fleet.PeelID) (enroll.Record, error)
	Approve(ctx context.Context, id fleet.PeelID, by string, replace bool) error
	Reject(ctx context.Context, id fleet.PeelID, by string) error
	Revoke(ctx context.Context, id fleet.PeelID, by string) error
}

// Joiner is enrollment for hosts: the four exchanges.
type Joiner interface {
	Begin(context.Context, enroll.BeginRequest, netip.Addr) (enroll.BeginResponse, error)
	Answer(context.Context, enroll.AnswerRequest, netip.Addr) (enroll.AnswerResponse, error)
	Poll(context.Context, enroll.PollRequest, netip.Addr) (enroll.Grant, error)
	Renew(context.Context, enroll.RenewRequest, netip.Addr) (enroll.Grant, error)
}

// Network is the telemetry that the taps delivered.
type Network interface {
	Flows(context.Context, store.FlowQuery) ([]store.Flow, error)
	DNS(context.Context, store.DNSQuery) ([]store.DNS, error)
	TLS(context.Context, store.TLSQuery) ([]store.TLS, error)
	Traffic(ctx context.Context, from, to time.Time, bucket time.Duration) ([]store.TrafficPoint, error)
	TopTalkers(ctx context.Context, from, to time.Time, limit int) ([]store.Talker, error)
	KindInfos(context.Context) ([]store.KindInfo, error)
	Storage(context.Context) (store.Storage, error)
	Records(context.Context, store.RecordQuery) ([]store.Record, error)
}

// Taps are the taps' tokens and states.
type Taps interface {
	AddTapOf(ctx context.Context, tenant, name string, ttl time.Duration) (token string, err error)
	GiveTap(ctx context.Context, name, tenant string) error
	RotateTap(ctx context.Context, name string, ttl time.Duration) (token string, err error)
	RevokeTap(ctx context.Context, name string) error
	Taps(context.Context) ([]ingest.TapInfo, error)
	TenantUses(context.Context) ([]store.TenantUse, error)
	TapPage(ctx context.Context, tenant string, after network.TapID, limit int) ([]ingest.TapInfo, error)
}

// fleet is the master, or an error that says where one is.
func (a *API) fleet() (Fleet, error) {
	if a.deps.Fleet == nil {
		return nil, errs.New(errs.Unavailable, "this server is no master: ask one whose roles include master")
	}
	return a.deps.Fleet, nil
}

func (a *API) enroll() (Enroll, error) {
	if a.deps.Enroll == nil {
		return nil, errs.New(errs.Unavailable, "this server is no master: enroll at one whose roles include master")
	}
	return a.deps.Enroll, nil
}

func (a *API) network() (Network, error) {
	if a.deps.Network == nil {
		return nil, errs.New(errs.Unavailable, "this server is no node: ask one whose roles include node")
	}
	return a.deps.Network, nil
}

func (a *API) taps() (Taps, error) {
	if a.deps.Taps == nil {
		return nil, errs.New(errs.Unavailable, "this server is no node: ask one whose roles include node")
	}
	return a.deps.Taps, nil
}

// who names the caller for records: "anna", "uid:0".
func who(ctx context.Context) string {
	p, _ := access.PrincipalFrom(ctx)
	return p.Name
}

// publicURL is how hosts reach this server.
func (a *API) publicURL(r *http.Request) string {
	if a.deps.PublicURL == nil {
		return "https://" + r.Host
	}
	return a.deps.PublicURL(r)
}

// Access is who may ask, and the trail of what was done.
type Access interface {
	Sessions
	People
	Audit(context.Context, access.Entry) error
	AuditList(ctx context.Context, limit int, before string) ([]access.Entry, error)
}

// Sessions are the browsers' sessions and the programs' tokens.
type Sessions interface {
	Login(ctx context.Context, name, password string, addr netip.Addr) (secret string, p access.Principal, err error)
	Logout(ctx context.Context, secret string) error
	Cookie(secret string) *http.Cookie
	GoneCookie() *http.Cookie
	CreateToken(ctx context.Context, by access.Principal, name string, role access.Role, ttl time.Duration) (string, error)
	ListTokens(ctx context.Context, by access.Principal) ([]access.TokenInfo, error)
	RevokeToken(ctx context.Context, by access.Principal, id string) error
}

// People are the users.
type People interface {
	Users(context.Context) ([]access.User, error)
	CreateUser(ctx context.Context, by access.Principal, name, password string, role access.Role) error
	SetPassword(ctx context.Context, by access.Principal, name, password string) error
	ChangePassword(ctx context.Context, p access.Principal, old, password string, addr netip.Addr) error
	SetRole(ctx context.Context, by access.Principal, name string, role access.Role) error
	BindUID(ctx context.Context, by access.Principal, name string, uid int) error
	DeleteUser(ctx context.Context, by access.Principal, name string) error
}
