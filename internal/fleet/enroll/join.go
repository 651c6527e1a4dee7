package enroll

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"time"

	"github.com/nats-io/nkeys"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/base/version"
	"github.com/rind-project/rind/internal/base/wait"
	"github.com/rind-project/rind/internal/fleet"
)

// ErrPending says that nobody has approved the enrollment yet.
var ErrPending = errs.New(errs.Unavailable, "the enrollment waits for approval: rind enroll list and rind enroll approve on the server")

// JoinConfig is what a host needs to become a peel.
type JoinConfig struct {
	Server string       // address of the server's HTTPS
	Pin    string       // "sha256:…" of its CA; or
	CAFile string       // a file of CAs; or neither, to trust the system's
	Token  string       // from rind enroll token; not needed to go on with an enrollment that waits
	ID     fleet.PeelID // "": from the host name
	Dir    string       // where key and identity are kept
	Wait   bool         // until somebody has decided, or the context ends
	Log    *slog.Logger
}

// Join enrolls this host, or goes on where an earlier Join stopped. The key is
// made once and stays. Without Wait an enrollment that nobody has approved yet
// gives ErrPending.
func Join(ctx context.Context, cfg JoinConfig) (*Identity, error) {
	j, err := newJoin(cfg)
	if err != nil {
		return nil, err
	}
	defer j.client.close()
	grant, err := j.resume(ctx)
	if errs.Is(err, errs.NotFound) || errors.Is(err, errRejected) && cfg.Token != "" {
		if err := j.applyPatiently(ctx); err != nil {
			return nil, err
		}
		grant, err = j.poll(ctx)
	}
	if err != nil {
		return nil, err
	}
	for pause := time.Second; grant.State == Pending; pause = min(2*pause, 30*time.Second) {
		if !cfg.Wait {
			return nil, ErrPending
		}
		j.tell(cmp.Or(grant.Message, "waiting for rind enroll approve "+string(j.st.ID)+" on the server (fingerprint "+Fingerprint(j.public)+")"))
		if !wait.For(ctx, pause/2+rand.N(pause)) {
			return nil, errs.New(errs.Unavailable, "%w; run this again to go on waiting", ErrPending)
		}
		if grant, err = j.pollAgain(ctx, grant); err != nil {
			return nil, err
		}
	}
	return j.accept(grant)
}

// Resume goes on with an enrollment that waits in the folder, until somebody
// has decided or the context ends.
func Resume(ctx context.Context, dir string, log *slog.Logger) (*Identity, error) {
	st, err := readStored(dir)
	if err != nil {
		return nil, err
	}
	return Join(ctx, JoinConfig{Server: st.Server, ID: st.ID, Dir: dir, Wait: true, Log: log})
}

// join is a Join under way.
type join struct {
	cfg    JoinConfig
	log    *slog.Logger
	client *client
	key    nkeys.KeyPair
	public string
	st     *stored
	before bool   // an earlier Join asked for the enrollment
	told   string // what was logged last
}

// tell logs what there is to wait for, once until it is something else.
func (j *join) tell(message string) {
	if message != "" && message != j.told {
		j.log.Info(printable(message))
		j.told = message
	}
}

func newJoin(cfg JoinConfig) (*join, error) {
	j := &join{cfg: cfg, log: cfg.Log}
	if j.log == nil {
		j.log = slog.New(slog.DiscardHandler)
	}
	st, err := wanted(cfg)
	if err != nil {
		return nil, err
	}
	if j.key, err = openKey(cfg.Dir); err != nil {
		return nil, errs.New(errs.Unavailable, "keeping the key in %s: run this as the user that owns it: %w", cfg.Dir, err)
	}
	if j.public, err = j.key.PublicKey(); err != nil {
		return nil, err
	}
	old, err := readStored(cfg.Dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, err
	case old.ID != st.ID || old.Server != st.Server && !moved(old, st):
		return nil, errs.New(errs.Conflict, "this host is enrolled as %s at %s already; move %s away to enroll it anew as %s at %s", old.ID, old.Server, cfg.Dir, st.ID, st.Server)
	default:
		j.before = true
		if st.Pin == "" && st.CAFile == "" {
			st.Pin, st.CAFile, st.TLSPin = old.Pin, old.CAFile, old.TLSPin
		}
		st.State, st.FleetRoot = old.State, old.FleetRoot
		st.JWT, st.BusURLs, st.CAPEM = old.JWT, old.BusURLs, old.CAPEM
	}
	j.st = st
	j.client, err = newClient(st.Server, st.handshakePin(), st.CAFile)
	return j, err
}

// moved reports whether the server under its new address is the same one: it
// has the CA that the old one had. The fleet's root is checked again later.
func moved(old, st *stored) bool { return st.Pin != "" && st.Pin == old.Pin }

// wanted checks what was asked for, before anything is touched.
func wanted(cfg JoinConfig) (*stored, error) {
	server, err := ServerURL(cfg.Server)
	if err != nil {
		return nil, err
	}
	id := cfg.ID
	if id == "" {
		name, err := os.Hostname()
		if err != nil {
			return nil, errs.New(errs.Invalid, "asking for the host's name; give an id: %w", err)
		}
		if id, err = fleet.PeelIDFromHostname(name); err != nil {
			return nil, errs.New(errs.Invalid, "the host's name makes no id; give one with --id: %w", err)
		}
	}
	if _, err := fleet.ParsePeelID(string(id)); err != nil {
		return nil, errs.New(errs.Invalid, "%w", err)
	}
	if cfg.Dir == "" {
		return nil, errs.New(errs.Invalid, "no folder to keep the identity in")
	}
	return &stored{ID: id, State: Pending, Server: server, Pin: cfg.Pin, TLSPin: cfg.Pin != "", CAFile: cfg.CAFile}, nil
}

// resume asks how an earlier enrollment stands. NotFound: there is none.
func (j *join) resume(ctx context.Context) (Grant, error) {
	if !j.before {
		if j.cfg.Token == "" {
			return Grant{}, errs.New(errs.Unauthorized, "a token is needed: run rind enroll token on the server and use the command that it prints")
		}
		return Grant{}, errs.New(errs.NotFound, "no enrollment yet")
	}
	grant, err := j.poll(ctx)
	if errs.Is(err, errs.NotFound) && j.cfg.Token == "" {
		return grant, errs.New(errs.Unauthorized, "the server does not know this host's key; enroll it with a new token from rind enroll token: %w", err)
	}
	return grant, err
}

// applyPatiently is apply, again and again while the server says that too many
// hosts ask at once, if Join is to wait.
func (j *join) applyPatiently(ctx context.Context) error {
	for pause := time.Second; ; pause = min(2*pause, 30*time.Second) {
		err := j.apply(ctx)
		if !j.cfg.Wait || !errs.Is(err, errs.RateLimited) {
			return err
		}
		j.log.Warn("asking again in a moment", "error", err)
		if !wait.For(ctx, pause/2+rand.N(pause)) {
			return err
		}
	}
}

// apply asks for the enrollment: begin, then the answer to the nonce.
func (j *join) apply(ctx context.Context) error {
	name, _ := os.Hostname() // only shown to people
	begun, err := j.client.begin(ctx, BeginRequest{
		Purpose: ForJoin, Token: j.cfg.Token, ID: j.st.ID, PublicKey: j.public,
		Hostname: name, Version: version.Get().Version, Time: time.Now(),
	})
	if err != nil {
		return err
	}
	if j.st.Pin == "" {
		j.st.Pin = begun.Pin // over a connection that a CA vouches for
	}
	answer, err := j.client.answer(ctx, "answer", ForJoin, begun, j.st.ID, j.key, j.st.Pin)
	if err != nil {
		return err
	}
	j.tell(answer.Message)
	if j.st.FleetRoot != nil {
		return nil // enrolled before: what is kept stays as it is until the grant
	}
	return j.st.write(j.cfg.Dir)
}

// accept keeps what an approved peel was given.
func (j *join) accept(g Grant) (*Identity, error) {
	if err := j.st.take(g, j.st.Server); err != nil {
		return nil, err
	}
	if err := j.st.write(j.cfg.Dir); err != nil {
		return nil, err
	}
	return j.st.identity(j.cfg.Dir)
}
