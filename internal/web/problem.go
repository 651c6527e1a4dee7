package web

import (
	"net/http"

	"github.com/rind-project/rind/internal/access"
	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/web/ui"
)

var titles = map[errs.Kind]string{
	errs.Internal: "Something went wrong here", errs.Invalid: "That cannot be", errs.NotFound: "Not here",
	errs.Conflict: "It is not as it was", errs.Unauthorized: "Log in first", errs.Forbidden: "Not for your role",
	errs.TooLarge: "Too large", errs.RateLimited: "Too many tries", errs.Unavailable: "Not there just now", errs.Gone: "It is gone",
}

// problemOf says an error to the person who asked. What an internal error has
// to say is for the log.
func problemOf(err error, r *http.Request) problem {
	kind, _ := access.Describe(err)
	p := problem{Status: access.Status(kind), Title: titles[kind], Message: said(err), Back: "/", BackName: "To the overview"}
	switch kind {
	case errs.Internal:
		p.Next, p.Command = "Reload the page. When it stays, look at the server's log:", "journalctl -u rind -n 50"
	case errs.Unauthorized:
		p.Back, p.BackName = "/login", "To the login"
	case errs.Forbidden:
		p.Next, p.Command = "An administrator can give you another role:", "rind user list"
	case errs.Unavailable:
		p.Next, p.Command = "Reload in a moment. When it stays, see what this server says of itself:", "sudo curl --unix-socket /var/lib/rind/rind.sock http://rind/readyz"
	case errs.Conflict, errs.Invalid, errs.Gone:
		if r.Method == http.MethodPost {
			p.Next = "Nothing was changed."
		}
	}
	return p
}

// said is the sentence of an error for people.
func said(err error) string {
	kind, message := access.Describe(err)
	if kind == errs.Internal {
		return "The server failed at this; nothing you did."
	}
	return ui.Visible(sentence(message))
}

// sentence makes an error's lower-case message a sentence.
func sentence(s string) string {
	if s == "" {
		return s
	}
	if c := s[0]; c >= 'a' && c <= 'z' {
		s = string(c-'a'+'A') + s[1:]
	}
	if last := s[len(s)-1]; last != '.' && last != '!' && last != '?' {
		s += "."
	}
	return s
}

// off is the error page of a role that this server does not have.
func off(what string) error {
	return errs.New(errs.Unavailable, "%s not a role of this server; open the page on one that has it, or add the role to \"roles\" in this server's configuration", what)
}
