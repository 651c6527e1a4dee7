package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/base/database/sqlite"
	"github.com/rind-project/rind/internal/base/disk"
	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/base/version"
	"github.com/rind-project/rind/internal/fleet/bus/archive"
)

// Names in a backup.
const (
	sqliteFile = "rind.db"
	partSQL    = "sql"
	partKeys   = "keys"
)

// keyFolders hold what makes this fleet this fleet.
var keyFolders = []string{"keys", "pki"}

// backups makes backups of a server that runs, one at a time.
type backups struct {
	s  *Server
	mu sync.Mutex
}

// Backup writes everything that lasts. What cannot be read has its problem in
// the trailer; the error is of the writing. Nothing has been written when it
// is a conflict.
func (b *backups) Backup(ctx context.Context, w io.Writer, withKeys bool) (archive.Trailer, error) {
	if !b.mu.TryLock() {
		return archive.Trailer{}, errs.New(errs.Conflict, "another backup of this server is being made; wait for its end")
	}
	defer b.mu.Unlock()
	a, err := archive.NewWriter(w, archive.Header{Version: version.Get().Version, Fleet: b.s.ca.Pin(), Made: time.Now().UTC()})
	if err != nil {
		return archive.Trailer{}, err
	}
	if err := b.parts(ctx, a, withKeys); err != nil {
		a.Abort()
		return archive.Trailer{}, err
	}
	return a.Close()
}

// parts writes the buckets before the database: what the database says of a
// host that came meanwhile harms less than an enrollment that it lacks.
func (b *backups) parts(ctx context.Context, a *archive.Writer, withKeys bool) error {
	if withKeys {
		if err := b.keys(a); err != nil {
			return err
		}
	}
	if err := archive.SaveBuckets(ctx, b.s.client.js, a); err != nil {
		return err
	}
	return b.database(ctx, a)
}

func (b *backups) keys(a *archive.Writer) error {
	if err := a.Begin(archive.KindKeys, partKeys); err != nil {
		return err
	}
	for _, folder := range keyFolders {
		entries, err := os.ReadDir(filepath.Join(b.s.cfg.DataDir, folder))
		if err != nil {
			return fmt.Errorf("reading the keys: %w", err)
		}
		for _, e := range entries {
			if !e.Type().IsRegular() || filepath.Ext(e.Name()) == disk.TempSuffix || e.Name() == ".lock" {
				continue
			}
			data, err := os.ReadFile(filepath.Join(b.s.cfg.DataDir, folder, e.Name()))
			if err != nil {
				return fmt.Errorf("reading the keys: %w", err)
			}
			if err := a.File(folder+"/"+e.Name(), data); err != nil {
				return err
			}
		}
	}
	return a.End(0, "", nil)
}

func (b *backups) database(ctx context.Context, a *archive.Writer) error {
	if err := a.Begin(archive.KindDatabase, partSQL); err != nil {
		return err
	}
	if b.s.db.Engine() != database.SQLite {
		return a.End(0, "PostgreSQL is not in this file; save it with pg_dump", nil)
	}
	written, err := b.copySQLite(ctx, a)
	if errors.Is(err, errWriting) || ctx.Err() != nil {
		return err
	}
	if err != nil && written {
		return fmt.Errorf("reading the copy of the database: %w", err)
	}
	return a.End(0, "", err)
}

// errWriting marks a failure of what the backup is written to.
var errWriting = errors.New("writing the database")

// copySQLite makes a copy beside the database, which takes a moment, and reads
// that, which takes as long as the one who asked likes.
func (b *backups) copySQLite(ctx context.Context, a *archive.Writer) (written bool, err error) {
	from := filepath.Join(b.s.cfg.DataDir, sqliteFile)
	if err := roomFor(from); err != nil {
		return false, err
	}
	dir, err := os.MkdirTemp(b.s.cfg.DataDir, ".backup-*"+disk.TempSuffix)
	if err != nil {
		return false, fmt.Errorf("copying the database: %w", err)
	}
	defer func() {
		if err := os.RemoveAll(dir); err != nil {
			b.s.log.Warn("the copy of the database that a backup made is left", "folder", dir, "error", err)
		}
	}()
	to := filepath.Join(dir, sqliteFile)
	if err := sqlite.Copy(ctx, from, to); err != nil {
		return false, err
	}
	f, err := os.Open(to)
	if err != nil {
		return false, err
	}
	defer f.Close()
	buf := make([]byte, archive.Chunk)
	for {
		n, err := io.ReadFull(f, buf)
		if n > 0 {
			if err := a.Chunk(buf[:n]); err != nil {
				return true, fmt.Errorf("%w: %w", errWriting, err)
			}
		}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return true, nil
		case err != nil:
			return true, err
		case ctx.Err() != nil:
			return true, ctx.Err()
		}
	}
}

// roomFor refuses a copy for which the disk has no room: a full disk damages
// the bus.
func roomFor(file string) error {
	const keep = 512 << 20
	info, err := os.Stat(file)
	if err != nil {
		return fmt.Errorf("copying the database: %w", err)
	}
	var fsys unix.Statfs_t
	if err := unix.Statfs(filepath.Dir(file), &fsys); err != nil {
		return fmt.Errorf("asking for the free space: %w", err)
	}
	if free := int64(fsys.Bavail) * fsys.Bsize; free < info.Size()+keep {
		return errs.New(errs.Unavailable, "copying the database needs %d MiB beside it, and 512 MiB to spare; %d MiB are free in %s", info.Size()>>20, free>>20, filepath.Dir(file))
	}
	return nil
}
