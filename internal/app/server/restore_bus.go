package server

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/rind-project/rind/internal/base/disk"
	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/base/pki"
	"github.com/rind-project/rind/internal/fleet/bus"
	"github.com/rind-project/rind/internal/fleet/bus/archive"
)

// onBus starts the bus alone, as the server composes it, and brings back the
// buckets. In a cluster it joins the others, and waits for who leads.
func (r *restore) onBus(ctx context.Context) (err error) {
	if r.dryRun && r.keys {
		return nil // without its keys the bus does not start
	}
	s := New(r.cfg, r.log)
	if s.ca, err = pki.OpenCA(filepath.Join(r.cfg.DataDir, "pki")); err != nil {
		return err
	}
	if err := s.composeBus(); err != nil {
		return err
	}
	s.client = &busClient{daemon: s.daemon, log: r.log}
	s.group.Add("bus client", s.client)
	s.group.Add("bus leader", leader{s.daemon})
	if err := s.group.Start(ctx); err != nil {
		return err
	}
	defer func() {
		stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		err = errors.Join(err, s.Stop(stopping))
	}()
	var gone []string
	err = bus.Patiently(ctx, func() (err error) {
		gone, err = bus.Gone(ctx, s.client.js)
		return err
	})
	if err != nil {
		return err
	}
	if !r.dryRun {
		have, err := s.daemon.Capacity(ctx)
		if err != nil {
			return err
		}
		if err := r.buckets(ctx, s.client.js, have, gone); err != nil {
			return err
		}
	} else {
		r.plan(gone)
	}
	return r.finish(ctx, s.client.js)
}

// wanted are the parts of the archive that are to be restored, of which a
// bucket is gone or may be replaced.
func (r *restore) wanted(gone []string) []archive.Part {
	var want []archive.Part
	for _, p := range r.trailer.Parts {
		if p.Kind == archive.KindBucket && p.Problem == "" && !slices.Contains(r.empty, p.Name) &&
			(slices.Contains(gone, p.Name) || slices.Contains(r.replace, p.Name)) {
			want = append(want, p)
		}
	}
	return want
}

// plan says what would be done.
func (r *restore) plan(gone []string) {
	want := r.wanted(gone)
	for _, p := range want {
		r.say(restored{Name: p.Name, Values: p.Values, Result: "would be restored"})
	}
	r.empties(gone, func(string) error { return nil })
	r.leave(gone, want)
}

// buckets makes and fills what is gone.
func (r *restore) buckets(ctx context.Context, js jetstream.JetStream, have bus.Capacity, gone []string) error {
	to, err := bus.NewRestorer(ctx, js, have)
	if err != nil {
		return err
	}
	want := r.wanted(gone)
	if len(want) > 0 {
		over := map[string]bool{}
		for _, name := range r.replace {
			over[name] = true
		}
		results, err := archive.NewFiller(js, to, want, over, r.now).Fill(ctx, func(v archive.Visitor) error {
			_, _, err := r.read(v)
			return err
		})
		for _, p := range want {
			if f, ok := results[p.Name]; ok {
				r.say(rowOf(p.Name, f))
			}
		}
		if err != nil {
			return err
		}
	}
	r.empties(gone, func(name string) error {
		g, err := to.Begin(ctx, name, 0, 0, false)
		if err != nil {
			return err
		}
		return g.Finish(ctx)
	})
	r.leave(gone, want)
	return nil
}

func rowOf(name string, f archive.Filled) restored {
	row := restored{Name: name, Values: f.Values, Result: "restored"}
	switch {
	case f.Err != nil:
		row.Result, row.Failed = "FAILED, and gone until the next try: "+f.Err.Error(), true
	case f.Expired > 0:
		row.Result = "restored, without what has expired since"
	}
	return row
}

// empties makes the buckets that are to be without content.
func (r *restore) empties(gone []string, anew func(string) error) {
	for _, name := range r.empty {
		row := restored{Name: name, Result: r.did("made empty")}
		if !slices.Contains(gone, name) {
			row.Result, row.Failed = "is there, and left alone", true
		} else if err := anew(name); err != nil {
			row.Result, row.Failed = "FAILED: "+err.Error(), true
		}
		r.say(row)
	}
}

// leave says why the other buckets are not touched.
func (r *restore) leave(gone []string, want []archive.Part) {
	for _, cfg := range bus.LastingConfigs() {
		name := bus.NameOf(cfg.Name)
		taken := slices.ContainsFunc(want, func(p archive.Part) bool { return p.Name == name })
		if taken || slices.Contains(r.empty, name) {
			continue
		}
		p, ok := r.trailer.Part(archive.KindBucket, name)
		row := restored{Name: name, Result: "is there, and left alone"}
		switch missing := slices.Contains(gone, name); {
		case missing && r.file == "":
			row.Result, row.Failed = "is gone", true
		case missing && ok:
			row.Result, row.Failed = "is gone, and is not in the backup: "+p.Problem, true
		case missing:
			row.Result, row.Failed = "is gone, and is not in the backup", true
		case slices.Contains(r.replace, name):
			row.Result, row.Failed = "is there, left alone, and not whole in the backup", true
		}
		r.say(row)
	}
}

// finish notes that the buckets were made, so that a loss of all of them is
// told from a fleet that begins, and what is still gone.
func (r *restore) finish(ctx context.Context, js jetstream.JetStream) (err error) {
	if r.out.Gone, err = bus.Gone(ctx, js); err != nil {
		return err
	}
	if r.dryRun {
		return nil
	}
	if err := disk.WriteFile(filepath.Join(r.cfg.DataDir, madeFile), []byte("the buckets were made\n")); err != nil {
		return errs.New(errs.Internal, "noting that the buckets were made: %w", err)
	}
	return nil
}
