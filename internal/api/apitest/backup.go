package apitest

import (
	"context"
	"io"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet/bus"
	"github.com/rind-project/rind/internal/fleet/bus/archive"
)

// Backups makes small backups.
type Backups struct {
	Gone  string // a bucket that is gone
	Cut   bool   // the writing fails in the middle
	Busy  bool   // another one is being made
	Asked []bool // whether the keys were asked for
}

// Backup implements api.Backups.
func (b *Backups) Backup(_ context.Context, w io.Writer, withKeys bool) (archive.Trailer, error) {
	b.Asked = append(b.Asked, withKeys)
	if b.Busy {
		return archive.Trailer{}, errs.New(errs.Conflict, "another backup of this server is being made; wait for its end")
	}
	a, err := archive.NewWriter(w, archive.Header{Version: "v1.2.3", Fleet: Pin, Made: Now})
	if err != nil {
		return archive.Trailer{}, err
	}
	if withKeys {
		if err := keysPart(a); err != nil {
			return archive.Trailer{}, err
		}
	}
	for _, name := range []string{bus.Enrollments, bus.Facts} {
		if err := b.bucket(a, name); err != nil {
			return archive.Trailer{}, err
		}
	}
	if b.Cut {
		_, _ = w.Write([]byte("half")) // a client that went away wants no answer
		return archive.Trailer{}, errs.New(errs.Unavailable, "the server is stopping")
	}
	if err := a.Begin(archive.KindDatabase, "sql"); err != nil {
		return archive.Trailer{}, err
	}
	if err := a.End(0, "PostgreSQL is not in this file; save it with pg_dump", nil); err != nil {
		return archive.Trailer{}, err
	}
	return a.Close()
}

func keysPart(a *archive.Writer) error {
	if err := a.Begin(archive.KindKeys, "keys"); err != nil {
		return err
	}
	if err := a.File("keys/fleet-root.ed25519", []byte("seed")); err != nil {
		return err
	}
	return a.End(0, "", nil)
}

func (b *Backups) bucket(a *archive.Writer, name string) error {
	if err := a.Begin(archive.KindBucket, name); err != nil {
		return err
	}
	if b.Gone == name {
		return a.End(0, "", errs.New(errs.NotFound, "it is gone from the bus"))
	}
	if err := a.Value(archive.Value{Key: "web-01", Time: Now, Data: []byte("{}")}); err != nil {
		return err
	}
	return a.End(1, "", nil)
}
