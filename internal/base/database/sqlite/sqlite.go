// Package sqlite opens a SQLite file as a database.DB. The engine is the pure
// Go one, so the server needs no C library.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/base/errs"
)

// pragmas of every connection.
//
// synchronous is FULL although WAL with NORMAL survives a killed process: with
// NORMAL a power failure undoes the last commits, and a tap deletes a report
// from its spool because its commit was acknowledged. FULL costs one fsync per
// transaction, and a report is one transaction.
var pragmas = []string{
	"busy_timeout(10000)", // ms
	"journal_mode(WAL)",
	"synchronous(FULL)",
	"foreign_keys(1)",
	"cache_size(-4096)",            // KiB, for each connection
	"journal_size_limit(67108864)", // bytes that the log may keep after a checkpoint
}

// Open opens the file, which it makes when it does not exist, with mode 0600,
// since it holds hashes of passwords. One connection writes, its transactions
// hold the write lock from their beginning; a few others read meanwhile.
func Open(ctx context.Context, path string) (*database.DB, error) {
	path, err := prepare(path)
	if err != nil {
		return nil, err
	}
	writer, err := sql.Open("sqlite", dsn(path, "_txlock=immediate"))
	if err != nil {
		return nil, fmt.Errorf("opening the database %s: %w", path, err)
	}
	writer.SetMaxOpenConns(1)
	writer.SetMaxIdleConns(1)
	reader, err := sql.Open("sqlite", dsn(path, "_pragma=query_only(1)"))
	if err != nil {
		_ = writer.Close()
		return nil, fmt.Errorf("opening the database %s: %w", path, err)
	}
	readers := max(4, runtime.GOMAXPROCS(0))
	reader.SetMaxOpenConns(readers)
	reader.SetMaxIdleConns(readers)
	db := database.New(writer, reader, dialect{})
	if err := probe(ctx, writer, path); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// dsn names the file for the driver. The path is escaped: it may hold any byte.
func dsn(path, extra string) string {
	var b strings.Builder
	b.WriteString("file:" + (&url.URL{Path: path}).EscapedPath() + "?" + extra)
	for _, p := range pragmas {
		b.WriteString("&_pragma=" + p)
	}
	return b.String()
}

// prepare makes the file and checks what can be said plainly about it, since
// SQLite's own message for all of it is "unable to open database file".
func prepare(path string) (string, error) {
	if path == "" {
		return "", errs.New(errs.Invalid, "opening the database: no file is named")
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("opening the database: %w", err)
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return "", refused(path, err)
	}
	info, err := f.Stat()
	if err := errors.Join(err, f.Close()); err != nil {
		return "", fmt.Errorf("opening the database %s: %w", path, err)
	}
	if !info.Mode().IsRegular() {
		return "", errs.New(errs.Invalid, "opening the database %s: it is not a regular file", path)
	}
	if info.Mode().Perm()&0o077 != 0 {
		if err := os.Chmod(path, 0o600); err != nil {
			return "", fmt.Errorf("keeping others from reading the database %s: %w", path, err)
		}
	}
	// The log and its index are files beside the database.
	probe, err := os.CreateTemp(filepath.Dir(path), ".rind-write-*")
	if err != nil {
		return "", refused(path, err)
	}
	return path, errors.Join(probe.Close(), os.Remove(probe.Name()))
}

// refused says what to do about a file or folder that cannot be written.
func refused(path string, err error) error {
	folder := filepath.Dir(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return errs.New(errs.Invalid, "opening the database %s: the folder %s does not exist; make it, or choose another data folder: %w", path, folder, err)
	case errors.Is(err, fs.ErrPermission):
		return errs.New(errs.Invalid, "opening the database %s: the user with uid %d may not write there; change the owner of %s, or choose another data folder: %w",
			path, os.Geteuid(), folder, err)
	}
	return fmt.Errorf("opening the database %s: %w", path, err)
}

// probe opens the first connection, which sets the journal mode.
func probe(ctx context.Context, writer *sql.DB, path string) error {
	var mode string
	err := writer.QueryRowContext(ctx, "PRAGMA journal_mode").Scan(&mode)
	if c, ok := errors.AsType[interface {
		error
		Code() int
	}](err); ok && c.Code()&0xff == notADatabase {
		return errs.New(errs.Invalid, "opening the database %s: it is damaged or no SQLite file; move it away, or restore a backup: %w", path, err)
	}
	if err != nil {
		return fmt.Errorf("opening the database %s: %w", path, err)
	}
	if mode != "wal" {
		return errs.New(errs.Invalid, "opening the database %s: the file system allows no write-ahead log (journal mode %s); "+
			"put the data folder on a local disk", path, mode)
	}
	return nil
}

// notADatabase is SQLITE_NOTADB.
const notADatabase = 26
