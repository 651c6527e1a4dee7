package natsd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet/bus"
)

// Folders below that of the bus, for what a server stored while it stood alone.
const (
	aloneDir   = "alone"          // not yet in the cluster
	broughtDir = "alone-imported" // in the cluster by now
)

// setAside moves what this server stored while it stood alone out of the way of
// its first start in a cluster: nats-server deletes streams that the cluster
// does not know, after half a minute.
func (s *Server) setAside(dir string) error {
	if !s.cfg.Clustered() || !s.cfg.JetStream.Enabled {
		return nil
	}
	stored, aside := filepath.Join(dir, "jetstream"), filepath.Join(dir, aloneDir)
	streams := filepath.Join(stored, public(s.keys.Account), "streams")
	if exists(s.metaDir(dir)) || !exists(streams) || exists(aside) {
		return nil
	}
	if err := os.Mkdir(aside, 0o700); err != nil {
		return fmt.Errorf("setting aside what this server stored alone: %w", err)
	}
	if err := os.Rename(stored, filepath.Join(aside, "jetstream")); err != nil {
		return fmt.Errorf("setting aside what this server stored alone: %w", err)
	}
	s.deps.Log.Info("this server joins a cluster for the first time; what it stored alone is brought in when there is a leader", "folder", aside)
	return nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// BringIn gives the cluster the streams that this server stored while it stood
// alone, as they are: with their sequence numbers, times and history. It needs
// a leader, and can be repeated after it was cut short.
func (s *Server) BringIn(ctx context.Context) error {
	aside := filepath.Join(s.deps.DataDir, "bus", aloneDir)
	if !s.cfg.Clustered() || !s.cfg.JetStream.Enabled || !exists(filepath.Join(aside, "jetstream")) {
		return nil
	}
	alone, err := s.startAlone(aside)
	if err != nil {
		return err
	}
	defer func() { alone.Shutdown(); alone.WaitForShutdown() }()
	from, err := s.ownConnection(ctx, alone)
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := s.ownConnection(ctx, s.running())
	if err != nil {
		return err
	}
	defer to.Close()
	if err := s.bringAll(ctx, from, to); err != nil {
		return fmt.Errorf("bringing what this server stored alone into the cluster: %w; it is kept in %s, and the next start tries again", err, aside)
	}
	done := filepath.Join(s.deps.DataDir, "bus", broughtDir)
	if exists(done) {
		done += "-" + s.deps.Now().UTC().Format("20060102150405")
	}
	if err := os.Rename(aside, done); err != nil {
		return fmt.Errorf("noting that the streams are in the cluster: %w", err)
	}
	s.deps.Log.Info("what this server stored alone is in the cluster; the copy may be removed", "folder", done)
	return nil
}

// startAlone starts a server in this process on what was set aside. Nothing
// reaches it but this process.
func (s *Server) startAlone(dir string) (*server.Server, error) {
	account := jwt.NewAccountClaims(public(s.keys.Account))
	account.Name = "rind"
	account.Limits.JetStreamLimits = jwt.JetStreamLimits{MemoryStorage: jwt.NoLimit, DiskStorage: jwt.NoLimit, Streams: jwt.NoLimit, Consumer: jwt.NoLimit}
	token, err := account.Encode(s.keys.Operator)
	if err != nil {
		return nil, fmt.Errorf("signing an account: %w", err)
	}
	accounts := &server.MemAccResolver{}
	if err := accounts.Store(account.Subject, token); err != nil {
		return nil, err
	}
	if token, err = s.resolver.LoadAcc(public(s.keys.System)); err == nil {
		err = accounts.Store(public(s.keys.System), token)
	}
	if err != nil {
		return nil, err
	}
	alone, err := server.NewServer(&server.Options{
		ServerName: "alone", DontListen: true, NoSigs: true, NoLog: true,
		JetStream: true, StoreDir: dir, JetStreamMaxStore: 1 << 50, JetStreamMaxMemory: 1 << 40,
		TrustedOperators: s.opts.TrustedOperators, SystemAccount: s.opts.SystemAccount, AccountResolver: accounts,
	})
	if err != nil {
		return nil, fmt.Errorf("opening what this server stored alone: %w", err)
	}
	alone.SetLoggerV2(s.logger, false, false, false)
	alone.Start()
	if !alone.ReadyForConnections(s.cfg.ReadyTimeout) {
		alone.Shutdown()
		return nil, errs.New(errs.Unavailable, "what this server stored alone, in %s, cannot be opened%s", dir, s.because())
	}
	return alone, nil
}

// ownConnection connects to a server in this process, with every right.
func (s *Server) ownConnection(ctx context.Context, srv *server.Server) (*nats.Conn, error) {
	token, sign, err := s.ServerUser()
	if err != nil {
		return nil, err
	}
	return bus.Connect(ctx, bus.ConnConfig{
		Name: "rind-natsd", InProcess: srv, Once: true, Log: s.deps.Log, Sign: sign,
		JWT: func() (string, error) { return token, nil },
	})
}

// bringAll copies every stream that the cluster has not got. The one by which
// other servers know that all are there comes last.
func (s *Server) bringAll(ctx context.Context, from, to *nats.Conn) error {
	old, err := jetstream.New(from)
	if err != nil {
		return err
	}
	js, err := jetstream.New(to)
	if err != nil {
		return err
	}
	var names []string
	list := old.StreamNames(ctx)
	for name := range list.Name() {
		names = append(names, name)
	}
	if err := list.Err(); err != nil {
		return fmt.Errorf("listing the streams: %w", err)
	}
	last := "KV_" + bus.Enrollments
	slices.SortFunc(names, func(a, b string) int {
		switch {
		case a == last:
			return 1
		case b == last:
			return -1
		}
		return strings.Compare(a, b)
	})
	for _, name := range names {
		_, err := js.Stream(ctx, name)
		if err == nil {
			continue
		}
		if !errors.Is(err, jetstream.ErrStreamNotFound) {
			return fmt.Errorf("looking for the stream %s: %w", name, err)
		}
		began := time.Now()
		bytes, err := bring(ctx, from, to, name)
		if err != nil {
			return fmt.Errorf("the stream %s: %w", name, err)
		}
		s.deps.Log.Info("a stream is in the cluster", "stream", name, "bytes", bytes, "took", time.Since(began).Round(time.Millisecond))
	}
	return nil
}

// Limits of a copy.
const (
	bringChunk = 512 << 10
	bringWait  = time.Minute // for one answer
)

// bring copies one stream: it asks the one server for a snapshot, and gives
// each piece to the other.
func bring(ctx context.Context, from, to *nats.Conn, name string) (int, error) {
	inbox := from.NewInbox()
	sub, err := from.SubscribeSync(inbox)
	if err != nil {
		return 0, err
	}
	defer func() { _ = sub.Unsubscribe() }() // fails only when the connection is gone
	var snapshot struct {
		Config json.RawMessage `json:"config"`
		State  json.RawMessage `json:"state"`
	}
	want := map[string]any{"deliver_subject": inbox, "no_consumers": true, "chunk_size": bringChunk}
	if err := apiCall(ctx, from, "$JS.API.STREAM.SNAPSHOT."+name, want, &snapshot); err != nil {
		return 0, err
	}
	var restore struct {
		Deliver string `json:"deliver_subject"`
	}
	if err := apiCall(ctx, to, "$JS.API.STREAM.RESTORE."+name, snapshot, &restore); err != nil {
		return 0, err
	}
	for bytes := 0; ; {
		msg, err := nextPiece(ctx, sub)
		if err != nil {
			return bytes, err
		}
		if len(msg.Data) == 0 {
			if code := msg.Header.Get("Status"); code != "" && code != "204" {
				return bytes, fmt.Errorf("the snapshot ended with %s %s", code, msg.Header.Get("Description"))
			}
			return bytes, apiCall(ctx, to, restore.Deliver, nil, &struct{}{})
		}
		bytes += len(msg.Data)
		if err := apiRaw(ctx, to, restore.Deliver, msg.Data, nil); err != nil {
			return bytes, err
		}
		if msg.Reply != "" {
			if err := msg.Respond(nil); err != nil {
				return bytes, err
			}
		}
	}
}

func nextPiece(ctx context.Context, sub *nats.Subscription) (*nats.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, bringWait)
	defer cancel()
	return sub.NextMsgWithContext(ctx)
}

// apiCall sends a request of the JetStream API, and reads its answer.
func apiCall(ctx context.Context, nc *nats.Conn, subject string, in, out any) error {
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return err
		}
	}
	return apiRaw(ctx, nc, subject, body, out)
}

func apiRaw(ctx context.Context, nc *nats.Conn, subject string, body []byte, out any) error {
	ctx, cancel := context.WithTimeout(ctx, bringWait)
	defer cancel()
	msg, err := nc.RequestWithContext(ctx, subject, body)
	if err != nil {
		return err
	}
	if len(msg.Data) == 0 {
		return nil
	}
	var answer struct {
		Error *jetstream.APIError `json:"error"`
	}
	if err := json.Unmarshal(msg.Data, &answer); err != nil {
		return fmt.Errorf("reading the bus's answer: %w", err)
	}
	if answer.Error != nil {
		return answer.Error
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(msg.Data, out)
}
