package cli

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/rind-project/rind/internal/cli/render"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/job"
)

// formatReturn shows what one peel returned: its name, then the value, short
// ones on the same line, others indented. All of it is from the host, and is
// made safe.
func formatReturn(paint render.Paint, function string, r fleet.Return) string {
	name, value := render.Line(string(r.Peel)), returned(function, r)
	head := paint.Good(name + ":")
	if !r.OK {
		head = paint.Bad(name + ": " + failure(r))
	}
	value = strings.TrimRight(value, "\n")
	switch {
	case value == "":
		return head
	case r.OK && !strings.Contains(value, "\n") && !strings.HasPrefix(value, "- ") && !fromCommand(function):
		return head + " " + value
	}
	return head + "\n" + indent(value)
}

// failure says in one line that and why a peel failed.
func failure(r fleet.Return) string {
	words := "FAILED"
	code := fmt.Sprintf("exit code %d", r.ExitCode)
	if r.ExitCode != 0 {
		words += " (" + code + ")"
	}
	switch r.Reason {
	case "":
	case job.ReasonCancelled, job.ReasonWithdrawn, job.ReasonInterrupted:
		words += " (" + r.Reason + ")"
	default:
		words += " (refused: " + render.Line(r.Reason) + ")"
	}
	if r.Error != "" && r.Error != code { // which is said already
		words += ": " + render.Line(r.Error)
	}
	return words
}

// fromCommand reports a function whose value is what a command wrote.
func fromCommand(function string) bool { return function == "cmd.run" || function == "cmd.script" }

// output is the value of cmd.run.
type output struct {
	Stdout    *string `json:"stdout"`
	Stderr    string  `json:"stderr"`
	StdoutCut int64   `json:"stdout_cut"` // bytes that the peel left out
	StderrCut int64   `json:"stderr_cut"`
	Signal    string  `json:"signal"`
	TimedOut  bool    `json:"timed_out"`
}

// returned is the value as safe text. What a command wrote is shown as it is.
func returned(function string, r fleet.Return) string {
	var out output
	if !fromCommand(function) || json.Unmarshal(r.Value, &out) != nil || out.Stdout == nil {
		return render.Value(r.Value)
	}
	text := stream(*out.Stdout, out.StdoutCut)
	if errors := stream(out.Stderr, out.StderrCut); errors != "" {
		text = strings.TrimPrefix(text+"\nstderr:\n"+indent(errors), "\n")
	}
	return text
}

// stream is what a command wrote, and how much of it is not there.
func stream(written string, cut int64) string {
	text := strings.TrimRight(render.Text(written), "\n")
	if cut > 0 {
		text += "\n(the peel left out " + render.Bytes(cut) + " in the middle)"
	}
	return text
}

func indent(text string) string {
	return "    " + strings.ReplaceAll(text, "\n", "\n    ")
}
