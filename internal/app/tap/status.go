package tap

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/rind-project/rind/internal/app/daemon"
	"github.com/rind-project/rind/internal/base/errs"
)

// maxStatus bounds what a tap may answer.
const maxStatus = 4 << 20

func statusCommand(load *daemon.Loader) *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use: "status", Short: "show how the running tap is: rings, tables, spool, delivery, parsers", Args: cobra.NoArgs,
		Long: "status asks the tap that runs on this host, through a socket in its data folder that only\n" +
			"root and the tap's user reach. Counters count since the tap started; those of packets,\n" +
			"flows and parsers are as of the last report.",
		Example: "  rind-tap status\n  rind-tap status --data /var/lib/rind-tap\n  rind-tap status -o json | jq .spool",
		RunE: func(c *cobra.Command, _ []string) error {
			if format != "table" && format != "json" {
				return errs.New(errs.Invalid, "the status has no format %q; use table or json", format)
			}
			cfg := DefaultConfig()
			if _, err := load.Load(&cfg); err != nil {
				return err
			}
			body, err := askStatus(c.Context(), cfg.DataDir)
			if err != nil {
				return err
			}
			if format == "json" {
				_, err := c.OutOrStdout().Write(body)
				return err
			}
			var s Status
			if err := json.Unmarshal(body, &s); err != nil {
				return fmt.Errorf("reading the tap's answer: %w: is it of another version?", err)
			}
			return s.table(c.OutOrStdout(), time.Now())
		},
	}
	cmd.Flags().StringVarP(&format, "output", "o", "table", "table or json")
	return cmd
}

// askStatus asks the tap with that data folder.
func askStatus(ctx context.Context, dir string) ([]byte, error) {
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			path, done, err := socketPath(dir)
			if err != nil {
				return nil, err
			}
			defer done()
			return (&net.Dialer{}).DialContext(ctx, "unix", path)
		},
	}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://tap/status", nil)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(req)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return nil, errs.New(errs.Forbidden, "the tap in %s answers root and its own user only: run this as root", dir)
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return nil, errs.New(errs.Unavailable, "no tap runs with the data folder %s: start one with `rind-tap run`, or name its folder with --data", dir)
	case err != nil:
		return nil, fmt.Errorf("asking the tap: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, errs.New(errs.Unavailable, "the tap answered %s", resp.Status)
	}
	return io.ReadAll(io.LimitReader(resp.Body, maxStatus))
}
