package api

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/rind-project/rind/internal/access"
	"github.com/rind-project/rind/internal/api/endpoint"
	"github.com/rind-project/rind/internal/api/wire"
	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet/bus/archive"
)

// Backups makes backups of what lasts.
type Backups interface {
	// Backup writes an archive. Before its first byte it may refuse.
	Backup(ctx context.Context, w io.Writer, withKeys bool) (archive.Trailer, error)
}

// backupRoutes has the backup of a fleet: hashes of passwords, secrets and all
// that hosts have said are in it, so that it is for administrators, and each
// stands in the audit trail.
func (a *API) backupRoutes() []access.Route {
	return []access.Route{{
		Method: http.MethodGet, Pattern: prefix + "/backup", Need: access.NeedAdmin,
		Summary: "back up every bucket that lasts and the SQLite database, as one file that ends with a trailer when it is whole",
		In:      wire.BackupIn{}, Out: endpoint.Raw{ContentType: octets},
		Handler: http.HandlerFunc(a.backup),
	}}
}

func (a *API) backup(w http.ResponseWriter, r *http.Request) {
	var in wire.BackupIn
	if err := endpoint.Decode(r, &in); err != nil {
		a.fail(w, r, err)
		return
	}
	out := &begun{w: w}
	detail, err := a.writeBackup(r, out, in)
	a.audit(r, "backup.make", subject{"fleet", detail}, err)
	switch {
	case err == nil:
	case !out.sent:
		a.fail(w, r, err)
	default:
		a.deps.Log.Warn("a backup was cut short", "error", err)
		panic(http.ErrAbortHandler) // so that nobody takes it for a whole one
	}
}

func (a *API) writeBackup(r *http.Request, out io.Writer, in wire.BackupIn) (detail string, err error) {
	if a.deps.Backups == nil {
		return "", errs.New(errs.Unavailable, "this server is no master: ask one whose roles include master")
	}
	if p, _ := access.PrincipalFrom(r.Context()); in.Keys && p.Via != access.ViaSocket {
		return "with the keys", errs.New(errs.Forbidden, "the fleet's keys leave a server by its own socket only: make the backup with --with-keys on the server itself, without a login")
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(a.stopping, cancel)()
	trailer, err := a.deps.Backups.Backup(ctx, out, in.Keys)
	return describeBackup(trailer, in.Keys), err
}

// describeBackup is for the audit trail.
func describeBackup(t archive.Trailer, keys bool) string {
	var size int64
	var bad []string
	for _, p := range t.Parts {
		size += p.Bytes
		if p.Problem != "" {
			bad = append(bad, p.Name)
		}
	}
	text := fmt.Sprintf("%d parts, %d bytes", len(t.Parts), size)
	if keys {
		text += ", with the keys"
	}
	if len(bad) > 0 {
		text += "; not whole: " + strings.Join(bad, ", ")
	}
	return text
}

// begun writes the header of an answer before its first byte.
type begun struct {
	w    http.ResponseWriter
	sent bool
}

// Write implements io.Writer.
func (b *begun) Write(p []byte) (int, error) {
	if !b.sent {
		b.sent = true
		h := b.w.Header()
		h.Set("Content-Type", octets)
		h.Set("Content-Disposition", `attachment; filename="rind.backup"`)
		h.Set("Cache-Control", "no-store")
		b.w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(b.w).Flush() // else an answer that is cut short at once looks like none
	}
	return b.w.Write(p)
}
