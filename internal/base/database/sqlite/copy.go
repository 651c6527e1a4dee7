package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Copy writes a consistent copy of the database that is open elsewhere into a
// new file, with mode 0600. It reads a snapshot, so that whoever writes
// meanwhile does not wait.
func Copy(ctx context.Context, from, to string) error {
	from, err := filepath.Abs(from)
	if err != nil {
		return fmt.Errorf("copying the database: %w", err)
	}
	if _, err := os.Stat(from); err != nil { // else it would be made
		return fmt.Errorf("copying the database: %w", err)
	}
	file, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("copying the database: %w", err)
	}
	if err := file.Close(); err != nil {
		return fmt.Errorf("copying the database: %w", err)
	}
	db, err := sql.Open("sqlite", dsn(from, "mode=rw"))
	if err != nil {
		return errors.Join(fmt.Errorf("copying the database: %w", err), os.Remove(to))
	}
	defer func() { _ = db.Close() }() // it has read only
	db.SetMaxOpenConns(1)
	if _, err := db.ExecContext(ctx, "VACUUM INTO ?", to); err != nil {
		return errors.Join(fmt.Errorf("copying the database: %w", err), os.Remove(to))
	}
	return nil
}
