package tap

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rind-project/rind/internal/app/daemon"
	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/base/pki"
	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/report"
)

const reportsPath = "/api/v1/reports"

func joinCommand(load *daemon.Loader) *cobra.Command {
	var server, pin, caFile, token string
	cmd := &cobra.Command{
		Use: "join", Short: "keep the node's address and the tap's token, after trying them", Args: cobra.NoArgs,
		Long:    "join takes what `rind tap add NAME` printed, tries it, and keeps it in the data folder.",
		Example: "  rind-tap join --server https://rind.example:8443 --pin sha256:… --token rindtap_…",
		RunE: func(c *cobra.Command, _ []string) error {
			cfg := DefaultConfig()
			if _, err := load.Load(&cfg); err != nil {
				return err
			}
			token, err := daemon.Secret("token", token, c.InOrStdin())
			if err != nil {
				return err
			}
			if caFile != "" {
				// The tap is started somewhere else later on.
				if caFile, err = filepath.Abs(caFile); err != nil {
					return err
				}
			}
			j := joined{Pin: pin, CA: caFile, Token: token}
			name, ok := network.TapOfToken(token)
			if !ok {
				return errs.New(errs.Invalid, "--token is not the token of a tap: they begin with rindtap_; `rind tap add NAME` makes one")
			}
			base, err := nodeURL(server)
			if err != nil {
				return err
			}
			j.URLs = []string{base.String()}
			ctx, cancel := context.WithTimeout(c.Context(), 30*time.Second)
			defer cancel()
			if err := probe(ctx, base, j); err != nil {
				return err
			}
			if err := j.save(cfg.DataDir); err != nil {
				return err
			}
			fmt.Fprintf(c.OutOrStdout(), "tap %s may report to %s. Start it: rind-tap run --interface eth0\n", name, base)
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&server, "server", "", "address of a node or of the load balancer in front, https://host:8443")
	f.StringVar(&pin, "pin", "", "pin of the server's CA (rind server pin shows it)")
	f.StringVar(&caFile, "ca-file", "", "file of CA certificates, instead of the pin")
	f.StringVar(&token, "token", "", "token from rind tap add, on the server; - reads it from standard input")
	_ = cmd.MarkFlagRequired("server")
	_ = cmd.MarkFlagRequired("token")
	return cmd
}

func nodeURL(s string) (*url.URL, error) {
	if !strings.Contains(s, "://") {
		s = "https://" + s
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" || u.Host == "" || strings.Trim(u.Path, "/") != "" {
		return nil, errs.New(errs.Invalid, "--server %q: write it as https://host:8443", s)
	}
	u.Path = ""
	return u, nil
}

// probe asks the node whether it takes the token. A report without a body is
// refused, but only after the token was.
func probe(ctx context.Context, base *url.URL, j joined) error {
	conf, err := pki.ClientTLSFor(base.Hostname(), j.Pin, j.CA)
	if err != nil {
		return err
	}
	client := &http.Client{Transport: &http.Transport{
		TLSClientConfig: conf, Proxy: http.ProxyFromEnvironment,
		TLSNextProto: map[string]func(string, *tls.Conn) http.RoundTripper{},
	}}
	defer client.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, base.JoinPath(reportsPath).String(), bytes.NewReader(nil))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+j.Token)
	req.Header.Set("Content-Type", report.ContentType)
	req.Header.Set(report.TimeHeader, time.Now().UTC().Format(time.RFC3339Nano))
	resp, err := client.Do(req)
	if err != nil {
		err = fmt.Errorf("asking %s: %w", base, pki.Explain(err))
		if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
			err = fmt.Errorf("%w; nothing is kept: look whether the address is right, the server runs, and this host may reach it", err)
		}
		return err
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 16<<10))
	var answer struct {
		Error struct {
			Kind    string `json:"kind"`
			Message string `json:"message"`
		} `json:"error"`
	}
	_ = json.Unmarshal(body, &answer)
	switch resp.StatusCode {
	case http.StatusBadRequest, http.StatusUnprocessableEntity, http.StatusOK:
		return nil
	case http.StatusUnauthorized, http.StatusForbidden:
		return errs.New(errs.ParseKind(answer.Error.Kind), "%s does not take this token: %s", base, answer.Error.Message)
	case http.StatusConflict:
		return errs.New(errs.Conflict, "%s: %s", base, answer.Error.Message)
	}
	return errs.New(errs.Unavailable, "%s answered %s %s: is it a Rind node?", base, resp.Status, answer.Error.Message)
}
