package web

import (
	"bytes"
	"encoding/json"
	"slices"
	"time"

	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/web/ui"
)

// maxOutput bounds what a page shows of one output, in bytes.
const maxOutput = 16 << 10

// returnRow is a return as a row of a table.
type returnRow struct {
	Peel    fleet.PeelID
	OK      bool
	Reason  string
	Error   string
	HasExit bool
	Exit    int
	Took    time.Duration
	Output  []output
}

// output is one text that a function gave.
type output struct {
	Label, Text string
	Left        int // bytes that are not shown
}

func newReturnRow(r fleet.Return) returnRow {
	row := returnRow{Peel: r.Peel, OK: r.OK, Reason: r.Reason, Took: r.Finished.Sub(r.Started), Exit: r.ExitCode}
	row.Error, _ = ui.Cut(r.Error, 4<<10)
	row.Output = outputs(r.Value)
	row.HasExit = r.ExitCode != 0 || hasStreams(r.Value)
	return row
}

// streams is what cmd.run gives.
type streams struct {
	Stdout *string `json:"stdout"`
	Stderr *string `json:"stderr"`
}

func hasStreams(value json.RawMessage) bool {
	var s streams
	return json.Unmarshal(value, &s) == nil && (s.Stdout != nil || s.Stderr != nil)
}

// outputs shows a value: a text as it is, the two streams of a command apart,
// anything else as indented JSON.
func outputs(value json.RawMessage) []output {
	value = bytes.TrimSpace(value)
	if len(value) == 0 || bytes.Equal(value, []byte("null")) {
		return nil
	}
	var text string
	if json.Unmarshal(value, &text) == nil {
		return nonEmpty(newOutput("", text))
	}
	var s streams
	if json.Unmarshal(value, &s) == nil && (s.Stdout != nil || s.Stderr != nil) {
		var out []output
		if s.Stdout != nil {
			out = append(out, newOutput("", *s.Stdout))
		}
		if s.Stderr != nil {
			out = append(out, newOutput("stderr", *s.Stderr))
		}
		return nonEmpty(out...)
	}
	var b bytes.Buffer
	if json.Indent(&b, value, "", "  ") != nil {
		return nonEmpty(newOutput("not JSON", string(value)))
	}
	return nonEmpty(newOutput("", b.String()))
}

func newOutput(label, text string) output {
	o := output{Label: label}
	o.Text, o.Left = ui.Cut(text, maxOutput)
	return o
}

func nonEmpty(all ...output) []output {
	return slices.DeleteFunc(all, func(o output) bool { return o.Text == "" })
}
