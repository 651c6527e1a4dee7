package bus

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/rind-project/rind/internal/base/errs"
)

// metaRestoring is in the metadata of a stream that is being filled from a
// backup. Until it is whole it counts as gone.
const metaRestoring = "rind.restoring"

// restoringPrefix stands before the subjects under which a stream is filled, so
// that nobody else writes to it meanwhile.
const restoringPrefix = "restoring."

// NameOf is what people call a stream: the name of its bucket.
func NameOf(stream string) string { return strings.TrimPrefix(stream, "KV_") }

// LastingConfigs returns the streams whose loss is a loss, sorted by name, as
// they are made on one server.
func LastingConfigs() []jetstream.StreamConfig {
	all := []jetstream.StreamConfig{EventsConfig(1)}
	for _, b := range Buckets() {
		if !b.Remade {
			all = append(all, b.StreamConfig(1))
		}
	}
	slices.SortFunc(all, func(a, b jetstream.StreamConfig) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// Gone returns the names of the lasting buckets that are not there, or of which
// a restore was cut short.
func Gone(ctx context.Context, js jetstream.JetStream) ([]string, error) {
	var gone []string
	for _, cfg := range LastingConfigs() {
		there, half, err := stateOf(ctx, js, cfg.Name)
		if err != nil {
			return nil, err
		}
		if !there || half {
			gone = append(gone, NameOf(cfg.Name))
		}
	}
	return gone, nil
}

func stateOf(ctx context.Context, js jetstream.JetStream, stream string) (there, half bool, err error) {
	s, err := js.Stream(ctx, stream)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return false, false, nil
	}
	if err != nil {
		return false, false, fmt.Errorf("looking at %s: %w", NameOf(stream), err)
	}
	return true, s.CachedInfo().Config.Metadata[metaRestoring] != "", nil
}

// Restorer makes lasting buckets anew, and fills them.
type Restorer struct {
	js    jetstream.JetStream
	specs map[string]jetstream.StreamConfig // by name
}

// NewRestorer makes a restorer for servers of which that is known.
func NewRestorer(ctx context.Context, js jetstream.JetStream, have Capacity) (*Restorer, error) {
	all, err := fitted(ctx, js, have)
	if err != nil {
		return nil, err
	}
	r := &Restorer{js: js, specs: map[string]jetstream.StreamConfig{}}
	replicas := min(3, max(1, have.Servers))
	for _, cfg := range all {
		if !slices.Contains(lasting(), cfg.Name) {
			continue
		}
		cfg.Replicas = replicas
		// Whatever was made once is to be missed again by the next start.
		cfg.Metadata = map[string]string{metaReplicas: strconv.Itoa(replicas), metaMade: strings.Join(lasting(), ",")}
		r.specs[NameOf(cfg.Name)] = cfg
	}
	return r, nil
}

// Restoring says how a bucket that is being filled is written to.
type Restoring struct {
	r    *Restorer
	name string
	cfg  jetstream.StreamConfig // what it becomes
}

// Begin makes a bucket that is to be filled. Its sequence numbers go on after
// lastSeq, so that no revision is given twice. It holds at least size bytes.
// Until Finish nobody finds it under its subjects, and it counts as gone.
//
// A bucket that is there is deleted when replace says so, and else a conflict;
// one of which a restore was cut short is always made anew.
func (r *Restorer) Begin(ctx context.Context, name string, lastSeq uint64, size int64, replace bool) (*Restoring, error) {
	cfg, ok := r.specs[name]
	if !ok {
		return nil, errs.New(errs.NotFound, "%.40q is no bucket that is restored; choose among %s", name, strings.Join(r.Names(), ", "))
	}
	there, half, err := stateOf(ctx, r.js, cfg.Name)
	if err != nil {
		return nil, err
	}
	if there && !half && !replace {
		return nil, errs.New(errs.Conflict, "the bucket %s is there; it is left alone without --replace %s", name, name)
	}
	if there {
		if err := r.js.DeleteStream(ctx, cfg.Name); err != nil {
			return nil, fmt.Errorf("deleting %s, which is replaced: %w", name, err)
		}
	}
	cfg.MaxBytes = max(cfg.MaxBytes, size)
	cfg.FirstSeq = lastSeq + 1
	filling := cfg
	filling.Subjects = []string{restoringPrefix + name + ".>"}
	filling.SubjectTransform = &jetstream.SubjectTransformConfig{Source: filling.Subjects[0], Destination: destination(name)}
	filling.Metadata = map[string]string{metaRestoring: "1", metaReplicas: cfg.Metadata[metaReplicas], metaMade: cfg.Metadata[metaMade]}
	if err := r.make(ctx, filling); err != nil {
		return nil, err
	}
	return &Restoring{r: r, name: name, cfg: cfg}, nil
}

// noPeers is the server's code for no servers with room for a stream.
const noPeers jetstream.ErrorCode = 10005

// make makes a stream. The servers of a cluster tell one another now and again
// only what they store: for a while it may seem that what was deleted takes its
// room still.
func (r *Restorer) make(ctx context.Context, cfg jetstream.StreamConfig) error {
	for began := time.Now(); ; {
		err := makeStream(ctx, r.js, cfg)
		api, ok := errors.AsType[*jetstream.APIError](err)
		full := ok && (api.ErrorCode == noPeers || api.ErrorCode == noStorage)
		if err == nil || !full && !Passing(err) || cfg.Replicas == 1 || time.Since(began) > Patience {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(time.Second):
		}
	}
}

// destination is what the subjects of a bucket become when they are stored.
func destination(name string) string {
	if name == EventsStream {
		return ">"
	}
	return "$KV." + name + ".>"
}

// Subject is where a value of a key is published.
func (g *Restoring) Subject(key string) string { return restoringPrefix + g.name + "." + key }

// Finish gives the bucket its own subjects: from now on it is there.
func (g *Restoring) Finish(ctx context.Context) error {
	if _, err := g.r.js.UpdateStream(ctx, g.cfg); err != nil {
		return fmt.Errorf("opening the bucket %s after it was filled: %w", g.name, err)
	}
	return nil
}

// Names are the buckets that can be restored.
func (r *Restorer) Names() []string {
	var names []string
	for name := range r.specs {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
