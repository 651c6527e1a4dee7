package enrich

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/rind-project/rind/internal/base/disk"
	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/base/version"
)

// tag is what a server said of the file that is here, for the next question
// (RFC 9110, section 13). It belongs to one URL.
type tag struct {
	URL          string `json:"url"` // without its secrets
	ETag         string `json:"etag,omitempty"`
	LastModified string `json:"last_modified,omitempty"`
}

func (s *source) tagFile() string { return s.path + ".tag" }

// bare is the URL without what is secret in it.
func bare(from string) string {
	u, err := url.Parse(from)
	if err != nil {
		return ""
	}
	u.User, u.RawQuery = nil, ""
	return u.String()
}

// fetch asks for the file and, when it has changed and can be read, puts it
// into use and in the place of the old one.
func (s *source) fetch(ctx context.Context) (changed bool, err error) {
	defer func() {
		// An error of net/http holds the URL, and that may hold a key.
		if u, ok := errors.AsType[*url.Error](err); ok {
			err = u.Err
		}
		if err != nil {
			err = fmt.Errorf("asking %s: %w", bare(s.from), err)
		}
	}()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.from, nil)
	if err != nil {
		return false, err
	}
	req.Header.Set("User-Agent", "rind/"+version.Get().Version)
	if t, ok := s.tag(); ok {
		set(req.Header, "If-None-Match", t.ETag)
		set(req.Header, "If-Modified-Since", t.LastModified)
	}
	res, err := s.deps.Client.Do(req)
	if err != nil {
		return false, err
	}
	defer res.Body.Close()
	switch res.StatusCode {
	case http.StatusNotModified:
		now := s.deps.Now()
		return false, errors.Join(os.Chtimes(s.path, now, now), s.remember())
	case http.StatusOK:
	case http.StatusUnauthorized, http.StatusForbidden:
		return false, errs.New(errs.Forbidden, "the server answers %s: check the account and the key in %s", res.Status, s.key)
	default:
		return false, errs.New(errs.Unavailable, "the server answers %s", res.Status)
	}
	packed, err := readLimited(res.Body, s.limit)
	if err != nil {
		return false, err
	}
	content, err := unpack(packed, s.limit)
	if err != nil {
		return false, err
	}
	if err := s.take(content, nil); err != nil {
		s.metrics.reads.WithLabelValues(s.short(), "failed").Inc()
		return false, err
	}
	return true, s.keep(content, tag{bare(s.from), res.Header.Get("ETag"), res.Header.Get("Last-Modified")})
}

func set(h http.Header, name, value string) {
	if value != "" {
		h.Set(name, value)
	}
}

// tag reads what was said of the file, if it is here and from this URL.
func (s *source) tag() (t tag, ok bool) {
	if s.state == nil {
		return t, false
	}
	text, err := os.ReadFile(s.tagFile())
	return t, err == nil && json.Unmarshal(text, &t) == nil && t.URL == bare(s.from)
}

// keep replaces this node's copy. The tag goes first and comes last, so that
// it never stands beside another file than its own.
func (s *source) keep(content []byte, t tag) error {
	if err := os.MkdirAll(filepath.Dir(s.path), 0o700); err != nil {
		return err
	}
	if err := os.Remove(s.tagFile()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := disk.WriteFile(s.path, content); err != nil {
		return err
	}
	text, err := json.Marshal(t)
	if err != nil {
		return err
	}
	return errors.Join(disk.WriteFile(s.tagFile(), text), s.remember())
}

// remember notes which file is in use.
func (s *source) remember() (err error) {
	s.state, err = os.Stat(s.path)
	return err
}

// unpack undoes gzip, and takes the first MMDB file or text out of a tar in it,
// as MaxMind packs them.
func unpack(content []byte, limit int64) ([]byte, error) {
	if !bytes.HasPrefix(content, []byte{0x1f, 0x8b}) {
		return content, nil
	}
	z, err := gzip.NewReader(bytes.NewReader(content))
	if err != nil {
		return nil, errs.New(errs.Invalid, "unpacking gzip: %w", err)
	}
	content, err = readLimited(z, limit)
	if err != nil {
		return nil, fmt.Errorf("unpacking gzip: %w", err)
	}
	if len(content) < 512 || string(content[257:262]) != "ustar" {
		return content, nil
	}
	for archive := tar.NewReader(bytes.NewReader(content)); ; {
		head, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil, errs.New(errs.Invalid, "the archive holds no .mmdb, .txt or .csv file")
		}
		if err != nil {
			return nil, errs.New(errs.Invalid, "unpacking tar: %w", err)
		}
		switch ext := strings.ToLower(filepath.Ext(head.Name)); {
		case head.Typeflag != tar.TypeReg:
		case ext == ".mmdb", ext == ".csv", ext == ".txt" && !strings.Contains(strings.ToLower(head.Name), "license") && !strings.Contains(strings.ToLower(head.Name), "copyright"):
			return readLimited(archive, limit)
		}
	}
}
