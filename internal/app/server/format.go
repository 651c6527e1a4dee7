package server

import (
	"io"

	"github.com/rind-project/rind/internal/cli/render"
)

// inFormat writes what a command of a server that is stopped has to say for
// programs, and reports whether that was asked for.
func inFormat(format string, out io.Writer, v any) (done bool, err error) {
	switch format {
	case "json":
		return true, render.JSON(out, v)
	case "yaml":
		return true, render.YAML(out, v)
	case "ndjson":
		return true, render.NDJSON(out, v)
	}
	return false, nil
}
