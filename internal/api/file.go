package api

import (
	"context"
	"fmt"
	"io"
	"net/http"

	"github.com/rind-project/rind/internal/access"
	"github.com/rind-project/rind/internal/api/endpoint"
	"github.com/rind-project/rind/internal/api/wire"
	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet/blob"
	"github.com/rind-project/rind/internal/fleet/blob/store"
)

// Files are files on their way between hosts and people.
type Files interface {
	Begin(ctx context.Context, owner store.Owner, b blob.Begin, by string) (blob.Progress, error)
	Put(ctx context.Context, owner store.Owner, sum string, n int, data []byte) (blob.Progress, error)
	Done(ctx context.Context, owner store.Owner, sum string) error
	Read(ctx context.Context, owner store.Owner, sum string, n int) (blob.Header, []byte, error)
	Delete(ctx context.Context, owner store.Owner, sum string) error
}

const (
	octets = "application/octet-stream"
	// sumHeader has the SHA-256 of a chunk, both ways.
	sumHeader = "X-Rind-Sha256"
)

func (a *API) files() (Files, error) {
	if a.deps.Files == nil {
		return nil, errs.New(errs.Unavailable, "this server is no master: ask one whose roles include master")
	}
	return a.deps.Files, nil
}

// fileRoutes bring files up and down in chunks, so that either side may be
// interrupted. A file is read by whoever knows its hash; nothing lists them.
func (a *API) fileRoutes() []access.Route {
	return []access.Route{
		route(a, op[wire.FileIn, blob.Progress]{
			method: http.MethodPost, path: "/files", need: access.NeedOperator,
			summary: "say which file is to come, and learn how far it is already", action: "file.upload",
			object: func(in wire.FileIn, _ blob.Progress) (string, string) {
				return clip(in.SHA256, 64), clip(fmt.Sprintf("%q, %d bytes", in.Name, in.Size), 4<<10)
			},
			run: func(ctx context.Context, _ *http.Request, in wire.FileIn) (blob.Progress, error) {
				f, err := a.files()
				if err != nil {
					return blob.Progress{}, err
				}
				return f.Begin(ctx, store.People, in.Begin, who(ctx))
			},
		}),
		{
			Method: http.MethodPut, Pattern: prefix + "/files/{sha256}/chunks/{n}", Need: access.NeedOperator, MaxBody: blob.Chunk + 1,
			Summary: "bring the next chunk of a file that was begun",
			In:      endpoint.Raw{ContentType: octets, MaxBytes: blob.Chunk, Params: wire.ChunkIn{}}, Out: blob.Progress{},
			Handler: http.HandlerFunc(a.putChunk),
		},
		route(a, op[wire.FileSum, wire.Empty]{
			method: http.MethodPost, path: "/files/{sha256}/complete", need: access.NeedOperator,
			summary: "have a file hashed whose chunks are there, so that hosts can get it", action: "file.complete",
			object: func(in wire.FileSum, _ wire.Empty) (string, string) { return clip(in.SHA256, 64), "" },
			run: func(ctx context.Context, _ *http.Request, in wire.FileSum) (wire.Empty, error) {
				f, err := a.files()
				if err != nil {
					return wire.Empty{}, err
				}
				return wire.Empty{}, f.Done(ctx, store.People, in.SHA256)
			},
		}),
		{
			Method: http.MethodGet, Pattern: prefix + "/peels/{id}/files/{sha256}/chunks/{n}", Need: access.NeedOperator,
			Summary: "get a chunk of a file that a managed host has brought",
			In:      wire.PeelChunk{}, Out: endpoint.Raw{ContentType: octets, MaxBytes: blob.Chunk},
			Handler: http.HandlerFunc(a.getChunk),
		},
		route(a, op[wire.PeelFile, wire.Empty]{
			method: http.MethodDelete, path: "/peels/{id}/files/{sha256}", need: access.NeedOperator,
			summary: "delete a file that a managed host has brought", action: "file.delete",
			object: func(in wire.PeelFile, _ wire.Empty) (string, string) { return in.ID, clip(in.SHA256, 64) },
			run: func(ctx context.Context, _ *http.Request, in wire.PeelFile) (wire.Empty, error) {
				f, owner, err := a.filesOf(in.ID)
				if err != nil {
					return wire.Empty{}, err
				}
				return wire.Empty{}, f.Delete(ctx, owner, in.SHA256)
			},
		}),
	}
}

// filesOf are the files, and the owner that a peel is. No peel is the owner of
// what people bring: its id is never empty.
func (a *API) filesOf(id string) (Files, store.Owner, error) {
	f, err := a.files()
	if err != nil {
		return nil, "", err
	}
	peel, err := peelID(id)
	return f, store.OfPeel(peel), err
}

func (a *API) putChunk(w http.ResponseWriter, r *http.Request) {
	p, err := a.takeChunk(r)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	endpoint.WriteJSON(w, http.StatusOK, p)
}

func (a *API) takeChunk(r *http.Request) (blob.Progress, error) {
	var in wire.ChunkIn
	if err := endpoint.DecodeParams(r, &in); err != nil {
		return blob.Progress{}, err
	}
	f, err := a.files()
	if err != nil {
		return blob.Progress{}, err
	}
	data, err := io.ReadAll(io.LimitReader(r.Body, blob.Chunk+1))
	if err != nil {
		return blob.Progress{}, errs.New(errs.Invalid, "the chunk could not be read to its end")
	}
	if len(data) > blob.Chunk {
		return blob.Progress{}, errs.New(errs.TooLarge, "a chunk has at most %d bytes", blob.Chunk)
	}
	if sum := r.Header.Get(sumHeader); sum != "" && sum != blob.Sum(data) {
		return blob.Progress{}, errs.New(errs.Invalid, "the chunk is damaged: its hash is not that of the header %s", sumHeader)
	}
	return f.Put(r.Context(), store.People, in.SHA256, in.N, data)
}

func (a *API) getChunk(w http.ResponseWriter, r *http.Request) {
	var in wire.PeelChunk
	err := endpoint.Decode(r, &in)
	var f Files
	var owner store.Owner
	if err == nil {
		f, owner, err = a.filesOf(in.ID)
	}
	var h blob.Header
	var data []byte
	if err == nil {
		h, data, err = f.Read(r.Context(), owner, in.SHA256, in.N)
	}
	if err != nil {
		a.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", octets)
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set(sumHeader, h.Sum)
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(data) // a client that went away wants no answer
}

var _ Files = (*store.Store)(nil)
