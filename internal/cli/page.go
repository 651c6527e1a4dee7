package cli

import (
	"context"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"
)

// paging are the flags of a list that comes in pages.
type paging struct {
	limit int
	all   bool
}

// maxPage is the largest page that the API gives.
const maxPage = 1000

func (p *paging) flags(cmd *cobra.Command, limit int) {
	cmd.Flags().IntVar(&p.limit, "limit", limit, "show at most this many")
	cmd.Flags().BoolVar(&p.all, "all", false, "show all, page after page")
}

// collect asks for pages until there are as many items as wanted. more says
// that the server has further ones. cursor is the name of the parameter that
// takes the next of the page before.
func collect[T any](ctx context.Context, p paging, cursor string, query url.Values, page func(context.Context, url.Values) (items []T, next string, err error)) (all []T, more bool, err error) {
	all = []T{}
	for {
		size := maxPage
		if !p.all {
			size = min(maxPage, p.limit-len(all))
		}
		query.Set("limit", strconv.Itoa(size))
		items, next, err := page(ctx, query)
		if err != nil {
			return all, false, err
		}
		all = append(all, items...)
		switch {
		case next == "":
			return all, false, nil
		case !p.all && len(all) >= p.limit:
			return all, true, nil
		}
		query.Set(cursor, next)
	}
}

// set puts a parameter into a query unless it is empty.
func set(q url.Values, name, value string) {
	if value != "" {
		q.Set(name, value)
	}
}

// hintMore says that a list was cut.
func (s *shell) hintMore(more bool, shown int) {
	if more && s.format == asTable {
		s.hint("shown are the first %d; --limit or --all shows more", shown)
	}
}
