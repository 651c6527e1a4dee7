package cli

import (
	"net/url"
	"strings"

	"github.com/spf13/cobra"
)

// filters are the flags of lists of telemetry, each a parameter of the API.
type filters struct {
	paging
	values map[string]*string // by parameter
}

// filterFlag is a flag that is sent as a parameter.
type filterFlag struct{ flag, parameter, usage string }

var telemetryFlags = []filterFlag{
	{"since", "from", "not before: a time such as 2026-01-02T15:04:05Z, or how long ago such as 15m (1h without it)"},
	{"until", "to", "before this moment, in the same forms (now without it)"},
	{"addr", "addr", "from or to this address or network"},
	{"tap", "tap", "seen by this tap"},
}

func (f *filters) flags(cmd *cobra.Command, more ...filterFlag) {
	f.paging.flags(cmd, 100)
	f.values = map[string]*string{}
	for _, x := range append(telemetryFlags, more...) {
		f.values[x.parameter] = cmd.Flags().String(x.flag, "", x.usage)
	}
}

func (f *filters) query() url.Values {
	q := url.Values{}
	for name, value := range f.values {
		set(q, name, strings.TrimSpace(*value))
	}
	return q
}
