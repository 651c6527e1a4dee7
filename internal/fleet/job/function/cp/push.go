package cp

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet/blob"
	"github.com/rind-project/rind/internal/fleet/job/function/local"
	"github.com/rind-project/rind/internal/fleet/job/function/schema"
)

func push(s *local.System) schema.Run {
	return func(ctx context.Context, c schema.Call) (schema.Result, error) {
		name, path, err := where(s, c.Args.Text("path"))
		if err != nil {
			return schema.Result{}, err
		}
		f, before, err := openFile(name, path)
		if err != nil {
			return schema.Result{}, err
		}
		defer f.Close()
		sum, err := hash(ctx, name, f)
		if err != nil {
			return schema.Result{}, err
		}
		out := blob.Pushed{Path: name, SHA256: sum, Size: before.Size()}
		u := upload{host: c.Host, name: name, f: f, begin: blob.Begin{SHA256: sum, Size: out.Size, Name: name}}
		if err := u.run(ctx); err != nil {
			return schema.Result{}, err
		}
		after, err := f.Stat()
		if err != nil {
			return schema.Result{}, local.FileError("looking at", name, err)
		}
		if after.Size() != before.Size() || !after.ModTime().Equal(before.ModTime()) {
			return schema.Result{}, errs.New(errs.Conflict, "%s changed while it was read; try again, or bring a copy", name)
		}
		return schema.Result{Value: out}, nil
	}
}

// upload is a file on its way up.
type upload struct {
	host  schema.Host
	name  string
	f     *os.File
	begin blob.Begin
}

func (u *upload) run(ctx context.Context) error {
	what, err := json.Marshal(u.begin)
	if err != nil {
		return err
	}
	p, err := u.ask(ctx, blob.AskBegin, what)
	for err == nil && !p.Complete && p.Next < blob.Chunks(u.begin.Size) {
		p, err = u.chunk(ctx, p.Next)
	}
	if err != nil || p.Complete {
		return err
	}
	if _, err := u.host.Ask(ctx, blob.AskDone, what); err != nil {
		return fmt.Errorf("bringing %s: %w", u.name, err)
	}
	return nil
}

// chunk sends one chunk, and returns where it goes on.
func (u *upload) chunk(ctx context.Context, n int) (blob.Progress, error) {
	b := make([]byte, blob.ChunkLen(u.begin.Size, n))
	if _, err := u.f.ReadAt(b, int64(n)*blob.Chunk); err != nil {
		return blob.Progress{}, errs.New(errs.Conflict, "%s became shorter while it was read: %w", u.name, err)
	}
	data, err := blob.Pack(blob.Header{SHA256: u.begin.SHA256, N: n, Sum: blob.Sum(b)}, b)
	if err != nil {
		return blob.Progress{}, err
	}
	return u.ask(ctx, blob.AskPut, data)
}

func (u *upload) ask(ctx context.Context, what string, data []byte) (blob.Progress, error) {
	var p blob.Progress
	answer, err := u.host.Ask(ctx, what, data)
	if err == nil {
		err = json.Unmarshal(answer, &p)
	}
	if err != nil {
		return p, fmt.Errorf("bringing %s: %w", u.name, err)
	}
	if p.Next < 0 || p.Next > blob.Chunks(u.begin.Size) {
		return p, errs.New(errs.Internal, "bringing %s: the master asks for chunk %d of %d", u.name, p.Next, blob.Chunks(u.begin.Size))
	}
	return p, nil
}
