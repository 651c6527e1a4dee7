package server

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/rind-project/rind/internal/base/disk"
	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet/bus/archive"
)

// sqliteSuffixes end the names of the files of one SQLite database.
var sqliteSuffixes = []string{"", "-wal", "-shm"}

// restoreDatabase puts the copy of the SQLite database in its place, when there
// is none, or when it is to be replaced. The one that was there is kept beside.
func (r *restore) restoreDatabase() error {
	if !r.database {
		return nil
	}
	p, ok := r.trailer.Part(archive.KindDatabase, partSQL)
	switch {
	case !ok || p.Bytes == 0 && p.Problem == "":
		return errs.New(errs.NotFound, "there is no copy of a SQLite database in %s (%s)", r.file, p.Note)
	case p.Problem != "":
		return errs.New(errs.NotFound, "the copy of the database in %s is not whole: %s", r.file, p.Problem)
	}
	path := filepath.Join(r.cfg.DataDir, sqliteFile)
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		if err != nil {
			return err
		}
		if !slices.Contains(r.replace, partSQL) {
			r.say(restored{Name: partSQL, Result: "is there, and left alone (--replace " + partSQL + " replaces it)"})
			return nil
		}
	}
	if r.dryRun {
		r.say(restored{Name: partSQL, Result: r.did("restored")})
		return nil
	}
	if err := r.writeDatabase(path); err != nil {
		return fmt.Errorf("bringing back the database: %w", err)
	}
	r.say(restored{Name: partSQL, Result: "restored"})
	return nil
}

func (r *restore) writeDatabase(path string) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".rind-restore-*"+disk.TempSuffix) // mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name()) // a leftover is known by its name
		}
	}()
	_, _, err = r.read(archive.Visitor{Chunk: func(b []byte) error { _, err := f.Write(b); return err }})
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	old := path + ".before-" + r.now().UTC().Format("20060102T150405")
	for _, suffix := range sqliteSuffixes {
		if err := os.Rename(path+suffix, old+suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return os.Rename(f.Name(), path)
}
