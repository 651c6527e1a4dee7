// Package static holds the files that pages load: style, scripts, the logo, and
// in vendor/ the browser libraries that `make static` fetches by npm. Without
// them the package still builds and HasVendor says false.
package static

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"
)

//go:embed *
var files embed.FS

// contentTypes lists what is served; any other file does not exist for a browser.
var contentTypes = map[string]string{
	".css": "text/css; charset=utf-8",
	".js":  "text/javascript; charset=utf-8",
	".svg": "image/svg+xml",
	".txt": "text/plain; charset=utf-8",
}

// Handler serves files below a URL prefix.
type Handler struct {
	prefix string
	assets map[string]asset
}

type asset struct {
	body []byte
	kind string
	etag string
}

// Files is what is embedded.
func Files() fs.FS { return files }

// New reads trees of files once, each to be served below its name ("page" →
// "page/…"); the one named "" is served at the prefix itself.
func New(prefix string, trees map[string]fs.FS) (*Handler, error) {
	h := &Handler{prefix: prefix, assets: map[string]asset{}}
	for name, tree := range trees {
		if name != "" {
			name += "/"
		}
		if err := h.add(name, tree); err != nil {
			return nil, err
		}
	}
	return h, nil
}

func (h *Handler) add(below string, tree fs.FS) error {
	return fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		kind, ok := contentTypes[path.Ext(name)]
		if !ok {
			return nil
		}
		body, err := fs.ReadFile(tree, name)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(body)
		h.assets[below+name] = asset{body: body, kind: kind, etag: `"` + hex.EncodeToString(sum[:12]) + `"`}
		return nil
	})
}

// Has reports whether the file is there.
func (h *Handler) Has(name string) bool {
	_, ok := h.assets[name]
	return ok
}

// HasVendor reports whether every browser library is there.
func (h *Handler) HasVendor() bool {
	for _, name := range []string{"vendor/htmx.js", "vendor/sse.js", "vendor/uplot.js", "vendor/uplot.css"} {
		if !h.Has(name) {
			return false
		}
	}
	return true
}

// ServeHTTP answers with the file. Browsers ask again each time and get a 304
// while it is the same, so that an update of the server is seen at once.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a, ok := h.assets[strings.TrimPrefix(r.URL.Path, h.prefix)]
	if !ok {
		http.Error(w, "there is no such file", http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", a.kind)
	w.Header().Set("ETag", a.etag)
	w.Header().Set("Cache-Control", "no-cache")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; sandbox")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(a.body))
}
