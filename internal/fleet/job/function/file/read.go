package file

import (
	"context"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	stdhash "hash"
	"io"
	"os"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet/job/function/local"
	"github.com/rind-project/rind/internal/fleet/job/function/schema"
)

func read(s *local.System) schema.Run {
	return func(_ context.Context, c schema.Call) (schema.Result, error) {
		name, path, err := where(s, c.Args)
		if err != nil {
			return schema.Result{}, err
		}
		f, info, err := open(name, path, true)
		if err != nil {
			return schema.Result{}, err
		}
		defer f.Close()
		limit, whole := c.Args.Size("limit"), !c.Args.Has("limit")
		if whole {
			limit = maxRead + 1
		}
		// A file below /proc has no size, and cannot always be read from the middle.
		b, err := io.ReadAll(io.LimitReader(io.NewSectionReader(f, c.Args.Size("offset"), limit), limit))
		if err != nil {
			return schema.Result{}, local.FileError("reading", name, err)
		}
		if whole && len(b) > maxRead {
			return schema.Result{}, errs.New(errs.TooLarge, "%s has %d bytes, at most %d are returned; ask for a part with offset=0 limit=64KiB", name, info.Size(), maxRead)
		}
		text, err := encode(name, b, c.Args.Text("encoding"))
		return schema.Result{Value: text}, err
	}
}

// encode makes text of content. The ends of a part may cut a character.
func encode(name string, b []byte, encoding string) (string, error) {
	if encoding == "base64" {
		return base64.StdEncoding.EncodeToString(b), nil
	}
	text := string(b)
	for i := 0; i < utf8.UTFMax-1 && text != "" && !utf8.RuneStart(text[0]); i++ {
		text = text[1:]
	}
	for i := 0; i < utf8.UTFMax-1 && text != ""; i++ {
		if r, n := utf8.DecodeLastRuneInString(text); r != utf8.RuneError || n != 1 {
			break
		}
		text = text[:len(text)-1]
	}
	if !utf8.ValidString(text) || strings.IndexByte(text, 0) >= 0 || text == "" && len(b) > 0 {
		return "", errs.New(errs.Invalid, "%s is no text in UTF-8; encoding=base64 returns its bytes", name)
	}
	return text, nil
}

// Stat is the value of file.stat.
type Stat struct {
	Path     string    `json:"path"`
	Type     string    `json:"type"`
	Size     int64     `json:"size_bytes"`
	Mode     string    `json:"mode"`
	Owner    string    `json:"owner"`
	Group    string    `json:"group"`
	UID      uint32    `json:"uid"`
	GID      uint32    `json:"gid"`
	Modified time.Time `json:"modified"`
	Changed  time.Time `json:"changed"`
	Links    int       `json:"links"`
	Target   string    `json:"target,omitempty"` // of a link
}

func stat(s *local.System) schema.Run {
	return func(_ context.Context, c schema.Call) (schema.Result, error) {
		name, path, err := where(s, c.Args)
		if err != nil {
			return schema.Result{}, err
		}
		look := os.Lstat
		if c.Args.Bool("follow") {
			look = os.Stat
		}
		info, err := look(path)
		if err != nil {
			return schema.Result{}, local.FileError("looking at", name, err)
		}
		return schema.Result{Value: describe(s.Names(), name, path, info)}, nil
	}
}

func describe(names local.Names, name, path string, info os.FileInfo) Stat {
	st := Stat{Path: name, Type: kind(info.Mode()), Size: info.Size(), Mode: octal(info.Mode()), Modified: info.ModTime().UTC()}
	if sys, ok := info.Sys().(*syscall.Stat_t); ok {
		st.UID, st.GID, st.Links = sys.Uid, sys.Gid, int(sys.Nlink)
		st.Owner, st.Group = names.User(sys.Uid), names.Group(sys.Gid)
		st.Changed = time.Unix(sys.Ctim.Unix()).UTC()
	}
	if st.Type == "link" {
		st.Target, _ = os.Readlink(path) // a link that went away meanwhile has none
		st.Target = local.Clean(st.Target)
	}
	return st
}

// Hash is the value of file.hash.
type Hash struct {
	Path      string `json:"path"`
	Algorithm string `json:"algorithm"`
	Hash      string `json:"hash"`
	Size      int64  `json:"size_bytes"`
}

func hash(s *local.System) schema.Run {
	algorithms := map[string]func() stdhash.Hash{"sha256": sha256.New, "sha512": sha512.New, "sha1": sha1.New, "md5": md5.New}
	return func(ctx context.Context, c schema.Call) (schema.Result, error) {
		name, path, err := where(s, c.Args)
		if err != nil {
			return schema.Result{}, err
		}
		f, _, err := open(name, path, true)
		if err != nil {
			return schema.Result{}, err
		}
		defer f.Close()
		h := algorithms[c.Args.Text("algorithm")]()
		n, err := io.Copy(h, io.LimitReader(&cancelled{ctx, f}, maxHash+1))
		switch {
		case err != nil:
			return schema.Result{}, local.FileError("reading", name, err)
		case n > maxHash:
			return schema.Result{}, errs.New(errs.TooLarge, "%s has more than %d bytes", name, int64(maxHash))
		}
		return schema.Result{Value: Hash{Path: name, Algorithm: c.Args.Text("algorithm"), Hash: hex.EncodeToString(h.Sum(nil)), Size: n}}, nil
	}
}

// cancelled reads until the context's end.
type cancelled struct {
	ctx context.Context
	r   io.Reader
}

// Read fails when the context is over.
func (c *cancelled) Read(p []byte) (int, error) {
	if c.ctx.Err() != nil {
		return 0, context.Cause(c.ctx)
	}
	return c.r.Read(p)
}
