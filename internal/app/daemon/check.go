package daemon

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rind-project/rind/internal/base/errs"
)

func (l *Loader) checkCommand(program string, fresh func() any) *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use: "check", Short: "check the configuration and say what is wrong",
		Example: "  " + program + " config check --config ./rind.yaml\n  " + program + " config check -o json",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if format != "table" && format != "json" {
				return errs.New(errs.Invalid, "the result of a check has no format %q; use table or json", format)
			}
			_, err := l.Load(fresh())
			if format == "json" {
				return checkedJSON(c.OutOrStdout(), err)
			}
			if err == nil {
				fmt.Fprintln(c.OutOrStdout(), "the configuration is good")
			}
			return err
		},
	}
	cmd.Flags().StringVarP(&format, "output", "o", "table", "table or json")
	return cmd
}

// checkedJSON writes what a check found for programs, one string a mistake.
func checkedJSON(w io.Writer, bad error) error {
	result := struct {
		OK     bool     `json:"ok"`
		Errors []string `json:"errors,omitempty"`
	}{OK: bad == nil}
	if bad != nil {
		result.Errors = strings.Split(bad.Error(), "\n")
	}
	if err := json.NewEncoder(w).Encode(result); err != nil || result.OK {
		return err
	}
	return &ExitError{Code: 1}
}
