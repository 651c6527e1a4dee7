// Package page renders the pages. Each page has a folder with its template
// (page.html) and, where it needs them, its style and script; layout/ holds
// the frame and the pieces that pages share. Values reach HTML through
// html/template only, so that what hosts and packets say stays text.
package page

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/rind-project/rind/internal/web/static"
)

//go:embed */*.html */*.css */*.js
var files embed.FS

// StaticPrefix is the path below which styles and scripts are served.
const StaticPrefix = "/static/"

// Viewer is who looks at a page; the zero value is nobody.
type Viewer struct {
	Name     string
	Role     string
	Operator bool // may run jobs
	Admin    bool // may admit hosts and taps
	Session  bool // came by a login, and so can log out
	// MustChange says that all the viewer may do is change a one-time password.
	MustChange bool
}

// Sheet is one page to render.
type Sheet struct {
	Title  string
	Place  string // path of the entry in the navigation that is current
	Viewer Viewer
	Theme  string // "light", "dark" or "" for what the system prefers
	Self   string // the page's own address, with its query
	Events string // the live connection of the page; empty when it has none
	Topics string // hx-trigger of the refresh: "sse:peels, sse:network"
	Parts  string // hx-select-oob of the refresh: "#hosts, #alerts"
	Notice string // one sentence above everything
	Data   any

	name   string
	vendor bool
	now    time.Time
}

// Place is an entry of the navigation.
type Place struct{ Path, Name string }

var places = []Place{
	{"/", "Overview"}, {"/hosts", "Hosts"}, {"/jobs", "Jobs"}, {"/events", "Events"}, {"/flows", "Flows"},
	{"/dns", "DNS"}, {"/tls", "TLS"}, {"/records", "Records"}, {"/taps", "Taps"}, {"/enrollment", "Enrollment"},
}

// adminPlaces are shown to administrators only.
var adminPlaces = []Place{{"/users", "Users"}, {"/audit", "Audit"}}

// Places lists the navigation.
func (s Sheet) Places() []Place {
	if s.Viewer.MustChange {
		return nil
	}
	if s.Viewer.Admin {
		return slices.Concat(places, adminPlaces)
	}
	return places
}

// Vendor reports whether the browser libraries are there.
func (s Sheet) Vendor() bool { return s.vendor }

// Style is the address of the page's own style, or empty.
func (s Sheet) Style() string { return s.own("style.css") }

// Script is the address of the page's own script, or empty.
func (s Sheet) Script() string { return s.own("script.js") }

func (s Sheet) own(file string) string {
	if _, err := fs.Stat(files, s.name+"/"+file); err != nil {
		return ""
	}
	return StaticPrefix + "page/" + s.name + "/" + file
}

// NextTheme is what the theme button leads to.
func (s Sheet) NextTheme() string {
	return map[string]string{"": "light", "light": "dark", "dark": "auto"}[s.Theme]
}

// ThemeName names the theme in use.
func (s Sheet) ThemeName() string {
	if s.Theme == "" {
		return "auto"
	}
	return s.Theme
}

// Pages holds the parsed templates.
type Pages struct {
	byName map[string]*template.Template
	static *static.Handler
	now    func() time.Time
}

// New parses every page; shared is the files of the package static. A template
// that does not parse is a defect of the build.
func New(now func() time.Time, shared fs.FS) (*Pages, error) {
	assets, err := static.New(StaticPrefix, map[string]fs.FS{"": shared, "page": files})
	if err != nil {
		return nil, fmt.Errorf("reading the pages' files: %w", err)
	}
	p := &Pages{byName: map[string]*template.Template{}, static: assets, now: now}
	layout, err := template.New("layout").Funcs(funcs(now)).ParseFS(files, "layout/*.html")
	if err != nil {
		return nil, fmt.Errorf("parsing the layout: %w", err)
	}
	found, err := fs.Glob(files, "*/page.html")
	if err != nil {
		return nil, err
	}
	for _, file := range found {
		t, err := template.Must(layout.Clone()).ParseFS(files, file)
		if err != nil {
			return nil, fmt.Errorf("parsing %s: %w", file, err)
		}
		p.byName[path.Dir(file)] = t
	}
	return p, nil
}

// Static serves styles and scripts.
func (p *Pages) Static() http.Handler { return p.static }

// Vendor reports whether the browser libraries are there.
func (p *Pages) Vendor() bool { return p.static.HasVendor() }

// Render answers with a page. A refresh by htmx gets the page's middle only.
func (p *Pages) Render(w http.ResponseWriter, r *http.Request, status int, name string, s Sheet) error {
	s.name, s.vendor, s.now = name, p.Vendor(), p.now()
	block := "frame"
	if r.Header.Get("HX-Request") == "true" {
		block = "middle"
	}
	body, err := p.execute(name, block, s)
	if err != nil {
		return err
	}
	SetHeaders(w.Header())
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Add("Vary", "HX-Request")
	w.WriteHeader(status)
	_, _ = w.Write(body)
	return nil
}

// Fragment renders one block of a page, for a live connection.
func (p *Pages) Fragment(name, block string, data any) (string, error) {
	body, err := p.execute(name, block, data)
	return string(body), err
}

func (p *Pages) execute(name, block string, data any) ([]byte, error) {
	t, ok := p.byName[name]
	if !ok {
		return nil, fmt.Errorf("there is no page %q", name)
	}
	var b bytes.Buffer
	if err := t.ExecuteTemplate(&b, block, data); err != nil {
		return nil, fmt.Errorf("rendering %s of the page %s: %w", block, name, err)
	}
	return b.Bytes(), nil
}

// Policy is the Content-Security-Policy of every page: nothing inline, nothing
// evaluated, nothing from elsewhere.
var Policy = strings.Join([]string{
	"default-src 'self'", "script-src 'self'", "style-src 'self'", "img-src 'self' data:", "object-src 'none'",
	"base-uri 'none'", "frame-ancestors 'none'", "form-action 'self'",
}, "; ")

// SetHeaders puts the security headers on an answer.
func SetHeaders(h http.Header) {
	h.Set("Content-Security-Policy", Policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("X-Frame-Options", "DENY")
}
