package database

import "github.com/rind-project/rind/internal/base/errs"

// IsReadOnly reports whether a write failed because the database is a standby,
// as it happens after a failover while a name still leads to the old place.
func IsReadOnly(err error) bool {
	state, _ := codes(err)
	return state == "25006"
}

// refused hands on the error of a write. When a standby refused it, the idle
// connections, which may lead there as well, are dropped, so that the next try
// looks for the primary anew.
func (db *DB) refused(err error) error {
	if !IsReadOnly(err) || errs.Is(err, errs.Unavailable) {
		return err
	}
	if db.idle > 0 {
		db.writer.SetMaxIdleConns(-1)
		db.writer.SetMaxIdleConns(db.idle)
	}
	return errs.New(errs.Unavailable, "the database takes no writes: this is a standby, and the next try looks for the primary; "+
		"when it stays so, promote a standby or name the primary in database.url: %w", err)
}
