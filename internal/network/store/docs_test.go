package store

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestReference compares docs/records.md with the kinds; -update writes it.
func TestReference(t *testing.T) {
	t.Parallel()
	const path = "../../../docs/records.md"
	page := reference()
	if *update {
		if err := os.WriteFile(path, []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(got), page); diff != "" {
		t.Errorf("docs/records.md differs from the kinds (-file +kinds); run go test ./internal/network/store -run Reference -update:\n%s", diff)
	}
}

func reference() string {
	var b strings.Builder
	b.WriteString(`# Records

A tap's parsers read what protocols say in the clear, and report it as *records*, beside flows, DNS queries and TLS
hellos. A kind of records has one name everywhere: in reports, in tables, in metrics, in the API, in commands and on
pages. This page is made from the code.

` + "```" + `
rind record list                                     the kinds, and what there is of each
rind record show http --client 192.0.2.0/24          records of one kind, from new to old
rind record show dhcp --host-name 'printer*' -o json
GET /api/v1/records                                  the same, in the API
GET /api/v1/records/http?client=192.0.2.0/24&from=1d
` + "```" + `

The pages are below **Records**. A list without a range is of the last hour.

**Filters.** A column that is marked below can be filtered by: the parameter of the API is its key, the flag of the command
the key with dashes for underscores. A key is the column's name, with the kind in front where the name is taken
(` + "`from`, `to`, `id`" + ` …). An address may be a network. A text may begin or end with ` + "`*`" + `, and then the case of
ASCII letters is ignored. Booleans are ` + "`true` or `false`" + `.

**Where they stand.** Each kind has a table ` + "`record_KIND`" + ` with the columns ` + "`id`, `tap`" + ` and one for each below, named
by its key: times and durations in microseconds with the suffix ` + "`_us`" + `, addresses in 16 bytes, hardware addresses in 6, lists
as JSON. In JSON a duration is in nanoseconds.

**How long.** ` + "`node.retention.records`" + ` (30d) says it for all kinds, ` + "`node.retention.kinds`" + ` for single ones; flows, DNS queries and
TLS hellos have ` + "`node.retention.flows`, ledgers and gaps `node.retention.ledgers`" + `:

` + "```yaml" + `
node:
  retention:
    records: 30d
    kinds:
      - {kind: http, keep: 7d}
      - {kind: dhcp, keep: 90d}
` + "```" + `

A node skips kinds and columns of a newer tap, and counts the rows of such kinds in ` + "`rind_ingest_unknown_rows_total`" + `. A text
keeps at most 1024 bytes, a list at most 16 elements. All of it comes from packets: it is what somebody said, not what is true.

`)
	for _, k := range Kinds() {
		fmt.Fprintf(&b, "## %s\n\n%s%s.", k.Name, strings.ToUpper(k.Doc[:1]), k.Doc[1:])
		if k.Own != "" {
			fmt.Fprintf(&b, " They have a list of their own: `GET /api/v1%s`, `rind %s list`, and a page.\n\n", k.Own, strings.TrimSuffix(k.Name, "ws")+map[bool]string{true: "w"}[k.Name == KindFlows])
			continue
		}
		b.WriteString("\n\n| column | type | filter | what |\n|---|---|---|---|\n")
		for i := range k.Columns {
			c := &k.Columns[i]
			filter := ""
			if c.Filter {
				filter = "`" + c.Key + "`"
			}
			kind := c.Type.String()
			if c.Bits > 0 {
				kind += fmt.Sprint(c.Bits)
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", c.Name, kind, filter, strings.ReplaceAll(c.Doc, "|", `\|`))
		}
		b.WriteString("\n")
	}
	return strings.TrimRight(b.String(), "\n") + "\n"
}
