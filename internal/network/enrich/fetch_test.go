package enrich

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/maxmind/mmdbwriter/mmdbtype"
)

func textLog(w io.Writer) *slog.Logger { return slog.New(slog.NewTextHandler(w, nil)) }

// publisher serves one file as those who publish such files do.
type publisher struct {
	content atomic.Pointer[[]byte]
	etag    atomic.Pointer[string]
	status  atomic.Int32
	asked   atomic.Int32
	whole   atomic.Int32
}

func (p *publisher) set(content []byte, etag string) { p.content.Store(&content); p.etag.Store(&etag) }

func (p *publisher) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.asked.Add(1)
	if code := p.status.Load(); code != 0 {
		w.WriteHeader(int(code))
		return
	}
	w.Header().Set("ETag", *p.etag.Load())
	if r.Header.Get("If-None-Match") == *p.etag.Load() {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	p.whole.Add(1)
	_, _ = w.Write(*p.content.Load())
}

func zipped(t *testing.T, content []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	if _, err := z.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func tarred(t *testing.T, files ...[2]string) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, f := range files {
		if err := w.WriteHeader(&tar.Header{Name: f[0], Mode: 0o644, Size: int64(len(f[1])), Format: tar.FormatUSTAR}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, f[1]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestFetch(t *testing.T) {
	t.Parallel()
	german1 := mmdb(t, "Test", map[string]mmdbtype.Map{"203.0.114.0/24": country("DE")})
	austrian := mmdb(t, "Test", map[string]mmdbtype.Map{"203.0.114.0/24": country("AT")})
	p := &publisher{}
	server := httptest.NewTLSServer(p)
	defer server.Close()
	dir := filepath.Join(t.TempDir(), "enrich")
	cfg := DefaultConfig()
	cfg.GeoIP = strings.Replace(server.URL, "https://", "https://account:hunter2@", 1) + "/geo.tar.gz?license_key=hunter3"
	now := time.Now()
	var told bytes.Buffer
	begin := func() (*Service, *source) {
		s := New(cfg, Deps{Dir: dir, Client: server.Client(), Log: textLog(&told), Now: func() time.Time { return now }})
		s.sources[0].begin()
		return s, s.sources[0]
	}
	s, src := begin()
	see := func(want string) {
		t.Helper()
		src.step(t.Context())
		if got, _ := s.place(german); got != want {
			t.Errorf("the country is %q, want %q", got, want)
		}
	}

	// Nobody answers well at first: it is tried again, not at once.
	p.status.Store(http.StatusUnauthorized)
	see("")
	see("")
	if n := p.asked.Load(); n != 1 {
		t.Errorf("asked %d times", n)
	}
	p.status.Store(0)
	p.set(zipped(t, tarred(t, [2]string{"GeoLite2/LICENSE.txt", "x"}, [2]string{"GeoLite2/geo.mmdb", string(german1)})), `"1"`)
	now = now.Add(retryFirst)
	see("DE")

	// Unchanged: the whole is not sent again. A restart asks for nothing.
	now = now.Add(cfg.Refresh + time.Second)
	see("DE")
	if p.whole.Load() != 1 || p.asked.Load() != 3 {
		t.Errorf("asked %d times, %d whole", p.asked.Load(), p.whole.Load())
	}
	s, src = begin()
	see("DE")
	if p.asked.Load() != 3 {
		t.Error("a restart asks though the file is young")
	}

	// What cannot be read, is cut off or too large leaves the old one in place.
	for name, bad := range map[string][]byte{
		"a page": []byte("<html>sorry</html>"), "cut": austrian[:len(austrian)/2], "a bomb": zipped(t, make([]byte, 2<<20)), "empty": nil,
		"an archive of nothing": zipped(t, tarred(t, [2]string{"README", "x"})),
	} {
		src.limit = 1 << 20
		p.set(bad, `"`+name+`"`)
		now = now.Add(cfg.Refresh + time.Second)
		see("DE")
	}
	if left, err := os.ReadFile(src.path); err != nil || !bytes.Equal(left, german1) {
		t.Errorf("the copy on disk was touched: %v", err)
	}
	p.set(austrian, `"2"`)
	now = now.Add(cfg.Refresh + time.Second)
	see("AT")
	s, src = begin()
	see("AT") // from disk

	for _, secret := range []string{"hunter2", "hunter3"} {
		if strings.Contains(told.String(), secret) {
			t.Errorf("the log holds a secret:\n%s", &told)
		}
		files, err := filepath.Glob(filepath.Join(dir, "*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if text, _ := os.ReadFile(f); bytes.Contains(text, []byte(secret)) {
				t.Errorf("%s holds a secret", f)
			}
		}
	}
	if !strings.Contains(told.String(), "check the account and the key in enrich.geoip") {
		t.Errorf("a refusal is not explained:\n%s", &told)
	}
}

// An unreachable server's URL is not logged with its key, and a redirection to
// plain HTTP is not followed.
func TestFetchErrors(t *testing.T) {
	t.Parallel()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://127.0.0.1:1/x?key=hunter2", http.StatusFound)
	}))
	client := server.Client()
	client.CheckRedirect = onlyHTTPS
	for _, close := range []bool{false, true} {
		if close {
			server.Close()
		}
		cfg := DefaultConfig()
		cfg.OUI = server.URL + "/oui.txt?key=hunter2"
		s := New(cfg, Deps{Dir: t.TempDir(), Client: client})
		_, err := s.sources[0].fetch(t.Context())
		if err == nil || strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), server.URL) {
			t.Errorf("closed %v: %v", close, err)
		}
		if !close && !strings.Contains(err.Error(), "not followed") {
			t.Errorf("a redirection: %v", err)
		}
	}
}
