package report

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/report/reporttest"
)

func TestHealthOfParsers(t *testing.T) {
	t.Parallel()
	r := sample(1, reporttest.Size{Flows: 1})
	r.Health.AddParsers([]network.ParserHealth{{Name: "dns", Recognised: 1, Transactions: 2, LeftOut: 3, Malformed: 4, Panics: 5, GivenUp: 6}, {Name: "tls"}})
	r.Health.AddParsers([]network.ParserHealth{{Name: "dns", Recognised: 1, Panics: 10}, {Name: "http", GivenUp: 1 << 40}})
	want := []network.ParserHealth{{Name: "dns", Recognised: 2, Transactions: 2, LeftOut: 3, Malformed: 4, Panics: 15, GivenUp: 6}, {Name: "tls"}, {Name: "http", GivenUp: 1 << 40}}
	if diff := cmp.Diff(want, r.Health.Parsers); diff != "" {
		t.Error(diff)
	}
	roundTrip(t, r)
}
