package apitest

import (
	"context"
	"sync"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet/blob"
	"github.com/rind-project/rind/internal/fleet/blob/store"
)

// Files are files in memory.
type Files struct {
	Refuse error // of every chunk that comes or goes, unless nil

	mu  sync.Mutex
	all map[string]*kept
}

type kept struct {
	blob.Begin
	data     []byte
	complete bool
}

// Keep has a file of an owner there.
func (f *Files) Keep(owner store.Owner, name string, data []byte) blob.Pushed {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.all == nil {
		f.all = map[string]*kept{}
	}
	b := blob.Begin{SHA256: blob.Sum(data), Size: int64(len(data)), Name: name}
	f.all[string(owner)+"/"+b.SHA256] = &kept{Begin: b, data: data, complete: true}
	return blob.Pushed{Path: name, SHA256: b.SHA256, Size: b.Size}
}

// Get returns a complete file.
func (f *Files) Get(owner store.Owner, sum string) ([]byte, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	k := f.all[string(owner)+"/"+sum]
	if k == nil || !k.complete {
		return nil, false
	}
	return k.data, true
}

func (f *Files) find(owner store.Owner, sum string) (*kept, error) {
	if k := f.all[string(owner)+"/"+sum]; k != nil {
		return k, f.Refuse
	}
	return nil, errs.New(errs.NotFound, "there is no file %.12s here", sum)
}

func (k *kept) progress() blob.Progress {
	return blob.Progress{Next: blob.Chunks(int64(len(k.data))), Chunks: blob.Chunks(k.Size), Complete: k.complete}
}

// Begin implements api.Files.
func (f *Files) Begin(_ context.Context, owner store.Owner, b blob.Begin, _ string) (blob.Progress, error) {
	if err := b.Check(); err != nil {
		return blob.Progress{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.all == nil {
		f.all = map[string]*kept{}
	}
	key := string(owner) + "/" + b.SHA256
	if f.all[key] == nil {
		f.all[key] = &kept{Begin: b}
	}
	return f.all[key].progress(), nil
}

// Put implements api.Files.
func (f *Files) Put(_ context.Context, owner store.Owner, sum string, n int, data []byte) (blob.Progress, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	k, err := f.find(owner, sum)
	if err != nil {
		return blob.Progress{}, err
	}
	if n == k.progress().Next {
		k.data = append(k.data, data...)
	}
	return k.progress(), nil
}

// Done implements api.Files.
func (f *Files) Done(_ context.Context, owner store.Owner, sum string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	k, err := f.find(owner, sum)
	if err != nil {
		return err
	}
	if blob.Sum(k.data) != sum {
		return errs.New(errs.Conflict, "the file is another")
	}
	k.complete = true
	return nil
}

// Read implements api.Files.
func (f *Files) Read(_ context.Context, owner store.Owner, sum string, n int) (blob.Header, []byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	k, err := f.find(owner, sum)
	if err != nil {
		return blob.Header{}, nil, err
	}
	from := min(n*blob.Chunk, len(k.data))
	b := k.data[from:min(from+blob.Chunk, len(k.data))]
	return blob.Header{SHA256: sum, N: n, Size: k.Size, Sum: blob.Sum(b)}, b, nil
}

// Delete implements api.Files.
func (f *Files) Delete(_ context.Context, owner store.Owner, sum string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, err := f.find(owner, sum); err != nil {
		return err
	}
	delete(f.all, string(owner)+"/"+sum)
	return nil
}
