package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/rind-project/rind/internal/base/disk"
	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/base/pki"
	"github.com/rind-project/rind/internal/fleet/bus"
	"github.com/rind-project/rind/internal/fleet/bus/archive"
)

// madeFile notes in the data folder that the buckets were made.
const madeFile = "buckets-made"

// restoring is what `rind restore` was told.
type restoring struct {
	file     string   // "" with empty alone
	replace  []string // buckets, or sql, that may be there
	empty    []string // buckets that are made without content
	database bool
	keys     bool
	dryRun   bool
}

// restored is one row of what was done.
type restored struct {
	Name   string `json:"name"`
	Values int64  `json:"values"`
	Result string `json:"result"`
	Failed bool   `json:"failed,omitempty"` // it is not as it should be
}

// restoredOut is what -o json says of a restore.
type restoredOut struct {
	Backup  *archive.Header `json:"backup,omitempty"`
	DryRun  bool            `json:"dry_run,omitempty"`
	Results []restored      `json:"results"`
	Gone    []string        `json:"gone"` // the buckets that are gone afterwards
}

// restore brings back what is gone, on a server that does not run. Nothing is
// changed before the whole archive was read and found good.
type restore struct {
	restoring
	cfg Config
	log *slog.Logger
	now func() time.Time

	header  archive.Header
	trailer archive.Trailer
	out     restoredOut
}

// run does it. The error says why nothing, or nothing more, was done.
func (r *restore) run(ctx context.Context) (restoredOut, error) {
	r.out.DryRun = r.dryRun
	if err := r.check(); err != nil {
		return r.out, err
	}
	if err := r.readWhole(); err != nil {
		return r.out, err
	}
	_, err := os.Stat(r.cfg.DataDir)
	switch none := errors.Is(err, fs.ErrNotExist); {
	case none && r.keys && r.dryRun:
		return r.out, r.restoreKeys() // without its folder there is nothing else to look at
	case none && !r.keys:
		return r.out, errs.New(errs.NotFound, "the data folder %s is not there: name the server's with --data or --config, or bring back its keys first (--keys, when they are in the backup)", r.cfg.DataDir)
	}
	unlock, err := lockDataDir(r.cfg.DataDir)
	if errs.Is(err, errs.Conflict) {
		return r.out, errs.New(errs.Conflict, "a server runs on the data folder %s: stop it (systemctl stop rind, or Ctrl-C where rind up runs), then give this command again", r.cfg.DataDir)
	}
	if err != nil {
		return r.out, err
	}
	defer func() { _ = unlock() }() // it closes a file
	if err := r.restoreKeys(); err != nil {
		return r.out, err
	}
	if err := r.sameFleet(); err != nil {
		return r.out, err
	}
	if err := r.restoreDatabase(); err != nil {
		return r.out, err
	}
	return r.out, r.onBus(ctx)
}

// check refuses what was asked for when it cannot be.
func (r *restore) check() error {
	if !r.cfg.has(RoleBus) || !r.cfg.NATS.JetStream.Enabled {
		return errs.New(errs.Invalid, "this server keeps no buckets; give the command on one whose roles include bus, with nats.jetstream.enabled")
	}
	names := map[string]bool{}
	for _, cfg := range bus.LastingConfigs() {
		names[bus.NameOf(cfg.Name)] = true
	}
	for _, name := range r.empty {
		if !names[name] {
			return errs.New(errs.Invalid, "--empty %.40q: there is no such bucket; choose among %s", name, strings.Join(sorted(names), ", "))
		}
	}
	for _, name := range r.replace {
		if !names[name] && name != partSQL {
			return errs.New(errs.Invalid, "--replace %.40q: there is no such bucket; choose among %s, or %s for the SQLite database", name, strings.Join(sorted(names), ", "), partSQL)
		}
		if slices.Contains(r.empty, name) {
			return errs.New(errs.Invalid, "%s is to be replaced and to be made empty: choose one", name)
		}
	}
	if slices.Contains(r.replace, partSQL) {
		r.database = true
	}
	if r.database && r.cfg.Database.URL != "" {
		return errs.New(errs.Invalid, "this server's database is PostgreSQL (database.url), which is not in a backup of Rind: restore it with pg_restore or psql, and leave --database out")
	}
	return nil
}

func sorted(names map[string]bool) []string {
	var all []string
	for name := range names {
		all = append(all, name)
	}
	slices.Sort(all)
	return all
}

// readWhole reads the archive to its end.
func (r *restore) readWhole() (err error) {
	if r.file == "" {
		return nil
	}
	if r.header, r.trailer, err = r.read(archive.Visitor{}); err != nil {
		return fmt.Errorf("%w; nothing was changed", err)
	}
	r.out.Backup = &r.header
	if _, ok := r.trailer.Part(archive.KindKeys, partKeys); r.keys && !ok {
		return errs.New(errs.NotFound, "the keys are not in %s: it was made without --with-keys", r.file)
	}
	return nil
}

func (r *restore) read(v archive.Visitor) (archive.Header, archive.Trailer, error) {
	f, err := os.Open(r.file)
	if err != nil {
		return archive.Header{}, archive.Trailer{}, err
	}
	defer f.Close()
	h, t, err := archive.Read(f, v)
	if err != nil {
		err = fmt.Errorf("%s: %w", r.file, err)
	}
	return h, t, err
}

// sameFleet refuses the backup of another fleet: its hosts trust another CA.
func (r *restore) sameFleet() error {
	if r.dryRun && r.keys {
		return nil // they are not there yet
	}
	pin, err := pki.PinIn(filepath.Join(r.cfg.DataDir, "pki"))
	if errs.Is(err, errs.NotFound) {
		return errs.New(errs.NotFound, "%s holds no keys of a fleet, and what is restored is of no use without them: bring back its folders keys and pki from where they are kept, or with --keys when they are in the backup", r.cfg.DataDir)
	}
	if err != nil {
		return err
	}
	if r.file != "" && pin != r.header.Fleet {
		return errs.New(errs.Conflict, "%s is of another fleet (pin %.80s); %s holds the one with the pin %s; nothing was changed", r.file, r.header.Fleet, r.cfg.DataDir, pin)
	}
	return nil
}

// restoreKeys writes the keys where there are none.
func (r *restore) restoreKeys() error {
	if !r.keys {
		return nil
	}
	for _, folder := range keyFolders {
		if entries, err := os.ReadDir(filepath.Join(r.cfg.DataDir, folder)); err == nil && len(entries) > 0 {
			return errs.New(errs.Conflict, "%s holds keys already, which are never replaced: move the folder away, or leave --keys out", filepath.Join(r.cfg.DataDir, folder))
		}
	}
	n := int64(0)
	_, _, err := r.read(archive.Visitor{File: func(path string, data []byte) error {
		n++
		if r.dryRun {
			return nil
		}
		to := filepath.Join(r.cfg.DataDir, filepath.FromSlash(path))
		if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
			return err
		}
		return disk.WriteFile(to, data)
	}})
	if err != nil {
		return fmt.Errorf("bringing back the keys: %w", err)
	}
	r.say(restored{Name: partKeys, Values: n, Result: r.did("restored")})
	return nil
}

// did is what was done, or would have been.
func (r *restore) did(what string) string {
	if r.dryRun {
		return "would be " + what
	}
	return what
}

func (r *restore) say(row restored) { r.out.Results = append(r.out.Results, row) }
