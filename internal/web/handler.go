package web

import (
	"crypto/rand"
	"errors"
	"net/http"
	"strings"

	"github.com/rind-project/rind/internal/access"
	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/web/page"
)

// handler answers a request, or says why it cannot.
type handler func(w http.ResponseWriter, r *http.Request) error

// maxForm bounds the body of a form.
const maxForm = 64 << 10

// themeCookie keeps the choice of colours; it is no secret.
const themeCookie = "rind_theme"

// form reads the body of a form within bounds before the handler.
func form(h handler) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		if err := r.ParseForm(); err != nil {
			if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
				return errs.New(errs.TooLarge, "the form is larger than %d KiB", maxForm>>10)
			}
			return errs.New(errs.Invalid, "the form cannot be read; go back and send it again")
		}
		return h(w, r)
	}
}

// handle turns a handler's error into a page that helps.
func (w *Web) handle(h handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		defer func() {
			if v := recover(); v != nil {
				if err, ok := v.(error); ok && errors.Is(err, http.ErrAbortHandler) {
					panic(v)
				}
				w.fail(rw, r, errs.New(errs.Internal, "panic: %v", v))
			}
		}()
		if err := h(rw, r); err != nil && r.Context().Err() == nil {
			w.fail(rw, r, err)
		}
	})
}

// sheet begins a page: who looks, in which colours, at which address.
func (w *Web) sheet(r *http.Request, title, place string) page.Sheet {
	s := page.Sheet{Title: title, Place: place, Self: r.URL.RequestURI(), Viewer: viewer(r)}
	if r.Method != http.MethodGet {
		s.Self = place
	}
	if c, err := r.Cookie(themeCookie); err == nil && (c.Value == "light" || c.Value == "dark") {
		s.Theme = c.Value
	}
	return s
}

func viewer(r *http.Request) page.Viewer {
	p, ok := access.PrincipalFrom(r.Context())
	if !ok {
		return page.Viewer{}
	}
	return page.Viewer{Name: p.Name, Role: p.Role.String(), Operator: p.Role >= access.Operator, Admin: p.Role >= access.Admin, Session: p.Via == access.ViaSession, MustChange: p.MustChange}
}

// follow makes a page live: on any of the topics it fetches itself and swaps
// the parts.
func follow(s *page.Sheet, topics []string, parts ...string) {
	s.Events = "/events/changes?topics=" + strings.Join(topics, ",")
	triggers := []string{"rind:again"}
	for _, t := range topics {
		triggers = append(triggers, "sse:"+t)
	}
	s.Topics = strings.Join(triggers, ", ")
	s.Parts = "#" + strings.Join(parts, ", #")
}

// problem is the data of the error page.
type problem struct {
	Status         int
	Title, Message string
	Next, Command  string
	Request        string
	Back, BackName string
}

func (w *Web) fail(rw http.ResponseWriter, r *http.Request, err error) {
	p := problemOf(err, r)
	if p.Status >= http.StatusInternalServerError && errs.KindOf(err) == errs.Internal {
		p.Request = rand.Text()[:12]
		w.Log.Error("answering a page failed", "request", p.Request, "method", r.Method, "path", r.URL.Path, "error", err)
	}
	access.SetRetryAfter(rw.Header(), err)
	s := w.sheet(r, p.Title, "")
	s.Data = p
	if err := w.pages.Render(rw, r, p.Status, "error", s); err != nil {
		w.Log.Error("rendering the error page failed", "error", err)
		http.Error(rw, p.Message, p.Status)
	}
}

// missing answers for every address that no route has.
func (w *Web) missing(http.ResponseWriter, *http.Request) error {
	return errs.New(errs.NotFound, "there is no page at this address")
}

// theme keeps the choice of colours in a cookie and goes back.
func (w *Web) theme(rw http.ResponseWriter, r *http.Request) error {
	choice := r.PostForm.Get("theme")
	c := &http.Cookie{Name: themeCookie, Value: choice, Path: "/", MaxAge: 365 * 24 * 3600, Secure: r.TLS != nil, HttpOnly: true, SameSite: http.SameSiteLaxMode}
	switch choice {
	case "light", "dark":
	case "auto":
		c.Value, c.MaxAge = "", -1
	default:
		return errs.New(errs.Invalid, "the theme is light, dark or auto")
	}
	http.SetCookie(rw, c)
	http.Redirect(rw, r, access.SafeNext(r.PostForm.Get("back")), http.StatusSeeOther)
	return nil
}
