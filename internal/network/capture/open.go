package capture

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"

	"github.com/rind-project/rind/internal/base/errs"
)

// pipeWait is how long a named pipe may be without a writer before it is given up.
const pipeWait = 10 * time.Second

// OpenFile opens a capture file and reads its header. Of a pipe that somebody
// writes, the reading ends with the context; of a named pipe that nobody
// writes, after ten seconds.
func OpenFile(ctx context.Context, path string, opts FileOptions) (*File, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, errs.New(errs.NotFound, "open capture file: %w; look at the path, or read from a pipe with -", err)
	case err != nil:
		return nil, fmt.Errorf("open capture file: %w", err)
	case info.IsDir():
		return nil, errs.New(errs.Invalid, "open capture file: %s is a folder; name the files in it", path)
	}
	flags := os.O_RDONLY
	if info.Mode()&fs.ModeNamedPipe != 0 {
		flags |= syscall.O_NONBLOCK // otherwise opening waits for a writer, and no signal ends that
	}
	f, err := os.OpenFile(path, flags, 0)
	if err != nil {
		return nil, fmt.Errorf("open capture file: %w", err)
	}
	var in io.Reader = f
	switch {
	case info.Mode()&fs.ModeNamedPipe != 0:
		in = &pipe{ctx: ctx, f: f, patience: pipeWait}
	case info.Mode().IsRegular():
		in = readerOf(f)
	}
	file, err := NewFile(in, path, opts)
	if err != nil {
		f.Close()
		return nil, err
	}
	file.close = append(file.close, f)
	return file, nil
}

// pipe is a named pipe that was opened without waiting. Until its first byte
// has come, its end means that nobody writes yet.
type pipe struct {
	ctx      context.Context
	f        *os.File
	patience time.Duration
	begun    bool
}

// Read implements io.Reader.
func (p *pipe) Read(b []byte) (int, error) {
	defer context.AfterFunc(p.ctx, func() { _ = p.f.SetReadDeadline(time.Unix(1, 0)) })()
	for began := time.Now(); ; {
		n, err := p.f.Read(b)
		switch {
		case n > 0:
			p.begun = true
			return n, err
		case p.ctx.Err() != nil:
			return 0, p.ctx.Err()
		case p.begun || !errors.Is(err, io.EOF):
			return 0, err
		case time.Since(began) > p.patience:
			return 0, errs.New(errs.Unavailable, "nobody wrote to this pipe within %s; start its writer first", p.patience)
		}
		select {
		case <-p.ctx.Done():
		case <-time.After(20 * time.Millisecond):
		}
	}
}
