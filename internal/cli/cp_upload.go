package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/term"

	"github.com/rind-project/rind/internal/api/wire"
	"github.com/rind-project/rind/internal/cli/client"
	"github.com/rind-project/rind/internal/cli/render"
	"github.com/rind-project/rind/internal/fleet/blob"
)

// chunkTries is how often in a row a chunk is sent again after a failure that
// may pass.
const chunkTries = 8

// upload brings a file to the server and returns its hash.
func (s *shell) upload(ctx context.Context, c *client.Client, path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() {
		return "", fmt.Errorf("%s is no file; pack a folder first: tar -cf FILE.tar FOLDER", path)
	}
	bar := s.newBar("hashing", info.Size())
	sum, err := hashFile(ctx, f, bar)
	bar.end()
	if err != nil {
		return "", interrupted(ctx, err)
	}
	in := wire.FileIn{Begin: blob.Begin{SHA256: sum, Size: info.Size(), Name: filepath.Base(path)}}
	var p blob.Progress
	if err := c.Post(ctx, "/files", in, &p); err != nil {
		return "", err
	}
	bar = s.newBar("bringing", info.Size())
	defer bar.end()
	for !p.Complete && p.Next < p.Chunks {
		bar.at(int64(p.Next) * blob.Chunk)
		if p, err = sendChunk(ctx, c, f, sum, info.Size(), p.Next); err != nil {
			return "", interrupted(ctx, err)
		}
	}
	if p.Complete {
		return sum, nil
	}
	return sum, c.Post(ctx, "/files/"+sum+"/complete", nil, nil)
}

// sendChunk sends a chunk, several times when it has to be.
func sendChunk(ctx context.Context, c *client.Client, f *os.File, sum string, size int64, n int) (blob.Progress, error) {
	var p blob.Progress
	b := make([]byte, blob.ChunkLen(size, n))
	if _, err := f.ReadAt(b, int64(n)*blob.Chunk); err != nil {
		return p, fmt.Errorf("%s became shorter while it was read: %w", f.Name(), err)
	}
	err := again(ctx, func() error {
		return c.PutBytes(ctx, "/files/"+sum+"/chunks/"+strconv.Itoa(n), b, blob.Sum(b), &p)
	})
	if err == nil && p.Next <= n {
		err = errors.New("the server does not keep what it is sent")
	}
	return p, err
}

// again tries until something goes well, fails for good, or has failed too
// often.
func again(ctx context.Context, try func() error) error {
	for n := 0; ; n++ {
		err := try()
		if err == nil || ctx.Err() != nil || !passing(err) || n >= chunkTries {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(min(100*time.Millisecond<<n, 5*time.Second)):
		}
	}
}

func hashFile(ctx context.Context, f io.Reader, bar *bar) (string, error) {
	whole, buf, done := sha256.New(), make([]byte, 1<<20), int64(0)
	for {
		n, err := f.Read(buf)
		whole.Write(buf[:n])
		done += int64(n)
		bar.at(done)
		if errors.Is(err, io.EOF) {
			return hex.EncodeToString(whole.Sum(nil)), nil
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return "", err
		}
	}
}

// bar tells on a terminal how far a file is.
type bar struct {
	out   *os.File // nil shows nothing
	what  string
	size  int64
	shown time.Time
}

func (s *shell) newBar(what string, size int64) *bar {
	f, ok := s.opts.Err.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		f = nil
	}
	return &bar{out: f, what: what, size: size, shown: time.Now()}
}

func (b *bar) at(done int64) {
	if b.out == nil || time.Since(b.shown) < 250*time.Millisecond {
		return
	}
	b.shown = time.Now()
	_, _ = fmt.Fprintf(b.out, "\r\x1b[K%s: %s of %s, %d %%", b.what, render.Bytes(done), render.Bytes(b.size), 100*done/max(1, b.size)) // nobody is left to be told
}

func (b *bar) end() {
	if b.out != nil {
		_, _ = fmt.Fprint(b.out, "\r\x1b[K") // nobody is left to be told
	}
}

func peelFile(id, sum string) string {
	return "/peels/" + url.PathEscape(id) + "/files/" + url.PathEscape(sum)
}
