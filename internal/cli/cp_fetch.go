package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rind-project/rind/internal/api/wire"
	"github.com/rind-project/rind/internal/cli/client"
	"github.com/rind-project/rind/internal/cli/render"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/blob"
)

// fetching is how many files come down at the same time.
const fetching = 4

// fetcher follows a job that brings files to the server, and takes each down as
// soon as it is there.
type fetcher struct {
	*follower
	folder, name string
	place        chan struct{}
	work         sync.WaitGroup

	mu       sync.Mutex
	problems []string
}

func (s *shell) fetch(ctx context.Context, from remote, folder string, how cpFlags) error {
	name := path.Base(path.Clean(from.path))
	if name == "/" || name == "." || name == ".." {
		return errors.New("name the file on the hosts; folders are packed there first, such as with cmd.run 'tar -cf /tmp/x.tar /etc'")
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	c, err := s.client(ctx)
	if err != nil {
		return err
	}
	var job fleet.Job
	in := wire.JobIn{Target: from.target, Function: "cp.push", Args: []string{from.path}, Timeout: wire.Span(how.timeout)}
	if err := c.Post(ctx, "/jobs", in, &job); err != nil {
		return pointed(err, in.Target)
	}
	f := &fetcher{
		follower: &follower{shell: s, client: c, job: job, seen: map[fleet.PeelID]bool{}, progress: newProgress(s.opts.Err, job)},
		folder:   folder, name: name, place: make(chan struct{}, fetching),
	}
	err = f.watch(ctx)
	f.progress.stop()
	f.work.Wait()
	if err != nil {
		return interrupted(ctx, err)
	}
	if err := f.finish(); err != nil {
		return err
	}
	if len(f.problems) > 0 {
		slices.Sort(f.problems)
		f.hint("%s\n%d files could not be fetched; the same command goes on where it was", strings.Join(f.problems, "\n"), len(f.problems))
		if err := outcome(f.job); err == nil || errors.Is(err, exit(exitFailed)) {
			return exit(exitFailed)
		}
		return exit(exitBoth)
	}
	return outcome(f.job)
}

// watch sees the job to its end.
func (f *fetcher) watch(ctx context.Context) error {
	visit := func(e client.Event) (bool, error) {
		before := len(f.seen)
		ended, err := f.visit(e)
		var r fleet.Return
		if err == nil && len(f.seen) > before && json.Unmarshal(e.Data, &r) == nil && r.OK {
			err = f.begin(ctx, r)
		}
		return !ended, err
	}
	for failures := 0; ; failures++ {
		before := len(f.seen)
		err := f.client.Events(ctx, "/jobs/"+f.job.JID+"/events", visit)
		if len(f.seen) > before {
			failures = 0
		}
		if err == nil || ctx.Err() != nil || !passing(err) || failures >= tries {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(200 * time.Millisecond << failures):
		}
	}
}

// begin takes a file down in the background, when there is a place for it.
func (f *fetcher) begin(ctx context.Context, r fleet.Return) error {
	select {
	case f.place <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	f.work.Go(func() {
		defer func() { <-f.place }()
		if err := f.take(ctx, r); err != nil {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.problems = append(f.problems, render.Line(string(r.Peel)+": "+err.Error()))
		}
	})
	return nil
}

// take brings a file down, and has the server forget it. What the host says of
// it is not believed: its name is the one that was asked for, and its hash is
// that of the bytes.
func (f *fetcher) take(ctx context.Context, r fleet.Return) error {
	id, err := fleet.ParsePeelID(string(r.Peel))
	if err != nil {
		return err
	}
	var p blob.Pushed
	if err := json.Unmarshal(r.Value, &p); err != nil || (blob.Begin{SHA256: p.SHA256, Size: p.Size}).Check() != nil {
		return errors.New("the host answered with something else than a file")
	}
	dir := filepath.Join(f.folder, string(id))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	dest := filepath.Join(dir, f.name)
	part := dest + "." + p.SHA256[:16] + ".part"
	if err := f.fill(ctx, part, id, p); err != nil {
		return err
	}
	if err := os.Rename(part, dest); err != nil {
		return err
	}
	return f.client.Delete(ctx, peelFile(string(id), p.SHA256))
}

// fill gets the chunks that are not there, and holds the whole against its hash.
func (f *fetcher) fill(ctx context.Context, part string, id fleet.PeelID, p blob.Pushed) error {
	file, err := os.OpenFile(part, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	for n := int(min(info.Size(), p.Size) / blob.Chunk); n < blob.Chunks(p.Size); n++ {
		var b []byte
		var sum string
		err := again(ctx, func() (err error) {
			b, sum, err = f.client.GetBytes(ctx, peelFile(string(id), p.SHA256)+"/chunks/"+strconv.Itoa(n), blob.Chunk)
			return err
		})
		if err == nil && (blob.Sum(b) != sum || len(b) != blob.ChunkLen(p.Size, n)) {
			err = fmt.Errorf("chunk %d is damaged", n)
		}
		if err == nil {
			_, err = file.WriteAt(b, int64(n)*blob.Chunk)
		}
		if err != nil {
			return err
		}
	}
	if err := file.Truncate(p.Size); err != nil {
		return err
	}
	if _, err := file.Seek(0, 0); err != nil {
		return err
	}
	sum, err := hashFile(ctx, file, &bar{})
	if err == nil && sum != p.SHA256 {
		_ = os.Remove(part) // the next try begins anew
		err = errors.New("what has come is not the file with the hash that the host named; try again")
	}
	return err
}
