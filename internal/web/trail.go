package web

import (
	"fmt"
	"net/http"

	"github.com/google/uuid"

	"github.com/rind-project/rind/internal/access"
)

// auditView is the data of the page of the audit trail.
type auditView struct {
	paging
	Entries []access.Entry
}

func (w *Web) auditTrail(rw http.ResponseWriter, r *http.Request) error {
	before := r.URL.Query().Get("before")
	s := w.sheet(r, "Audit", "/audit")
	if before != "" && uuid.Validate(before) != nil {
		before, s.Notice = "", "The place in the list is damaged; this is its newest page."
	}
	entries, err := w.Access.AuditList(r.Context(), pageRows, before)
	if err != nil {
		return fmt.Errorf("reading the audit trail: %w", err)
	}
	v := auditView{Entries: entries, paging: paging{Shown: plural(len(entries), "row", "rows"), OlderName: "Older", NewestName: "Newest"}}
	if before != "" {
		v.Newest = "/audit"
	}
	if len(entries) == pageRows {
		v.Older = "/audit?before=" + entries[len(entries)-1].ID
	}
	s.Data = v
	return w.pages.Render(rw, r, http.StatusOK, "audit", s)
}
