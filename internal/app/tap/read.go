package tap

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/rind-project/rind/internal/app/daemon"
	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/base/log"
	"github.com/rind-project/rind/internal/base/version"
	"github.com/rind-project/rind/internal/network/tap"
)

func readCommand(load *daemon.Loader) *cobra.Command {
	var asJSON, now bool
	var to, spool, expr, speed, format string
	var parsers []string
	cmd := &cobra.Command{
		Use: "read FILE…", Short: "read capture files: show what is in them, or deliver it", Args: cobra.MinimumNArgs(1),
		Long: "read summarises pcap and pcapng files. It needs no privilege. Without a flag it shows a\n" +
			"summary and the ledger of each file; -o json writes the reports, one a line; --to node\n" +
			"delivers them to the node that this tap has joined; --spool DIR writes them, encoded as\n" +
			"they travel, into a spool, from where a tap with spool.dir DIR delivers them. The file - is\n" +
			"what comes in by a pipe.\n\n" +
			"Parsers, limits and time-outs are those of the configuration (parsers, flow, quarantine),\n" +
			"as for an interface; its filter is not: see --filter.\n\n" +
			"A damaged file is read up to the damage; then the error is shown, the other files are\n" +
			"read, and the command ends with 1.",
		Example: "  rind-tap read trace.pcap\n  rind-tap read -o json trace.pcapng | jq .flows\n  rind-tap read --to node *.pcap\n  rind-tap read --to node --now old.pcap\n  rind-tap read --spool /tmp/reports trace.pcap\n" +
			"  rind-tap read --filter 'tcp port 443' trace.pcap\n  rind-tap read --speed 1 -o json trace.pcap\n  tcpdump -i eth0 -w - | rind-tap read -\n" +
			"  rind-tap read --parsers dns,tls,quic trace.pcap\n  rind-tap read --set parsers.disabled=sip,rtsp --quarantine /tmp/failed trace.pcap",
		RunE: func(c *cobra.Command, files []string) error {
			if format != "table" && format != "json" {
				return errs.New(errs.Invalid, "what was read has no format %q; use table or json", format)
			}
			asJSON = asJSON || format == "json"
			if to != "" && to != "node" {
				return fmt.Errorf("--to %q: the only place is node", to)
			}
			if now && to == "" {
				return fmt.Errorf("--now goes with --to node")
			}
			if to != "" && asJSON || spool != "" && (asJSON || to != "") {
				return fmt.Errorf("--to, --spool and -o json exclude one another")
			}
			times, err := parseSpeed(speed)
			if err != nil {
				return err
			}
			cfg, err := readConfig(load, nil) // of what join kept, only a delivery needs anything
			if err == nil && to == "node" {
				err = cfg.complete()
			}
			if err != nil {
				return err
			}
			if c.Flags().Changed("parsers") {
				if cfg.Parsers, err = tap.OnlyParsers(parsers...); err != nil {
					return errs.New(errs.Invalid, "--parsers: %w", err)
				}
			}
			logger, err := log.New(c.ErrOrStderr(), cfg.Log)
			if err != nil {
				return err
			}
			opts := tap.ReadOptions{
				Out: c.OutOrStdout(), Progress: c.ErrOrStderr(), JSON: asJSON, Spool: spool, Filter: expr, Speed: times,
				Flow: cfg.Flow, Parsers: cfg.Parsers, Keep: cfg.Quarantine, Version: version.Get().Version, Log: logger,
			}
			if to == "node" {
				if len(cfg.Node.URLs) == 0 {
					return fmt.Errorf("no node to deliver to: run the command that `rind tap add NAME` prints, or set node.urls")
				}
				// A running tap holds its own spool.
				cfg.Spool.Dir = filepath.Join(cfg.DataDir, "read")
				opts.Deliver, opts.Now = &cfg.Config, now
			}
			ctx, stop := daemon.SignalContext(c.Context())
			defer stop()
			return tap.ReadFiles(ctx, named(files), opts)
		},
	}
	cmd.Flags().StringVarP(&format, "output", "o", "table", "table, or json: the reports, one a line")
	cmd.Flags().BoolVar(&asJSON, "json", false, "the same as -o json")
	cmd.Flags().BoolVar(&now, "now", false, "with --to node: deliver as if each capture ended now (else one older than the node keeps rows is refused)")
	cmd.Flags().StringVarP(&expr, "filter", "f", "", "packets to take, as tcpdump writes it: \"tcp port 443 and not host 192.0.2.1\"")
	cmd.Flags().StringVar(&speed, "speed", "max", "replay at the file's own speed: 1, 10 times as fast, or max")
	cmd.Flags().StringSliceVar(&parsers, "parsers", nil, "look into payloads with these parsers alone, or with none; else with all but parsers.disabled")
	load.BindKey(cmd, "quarantine", "quarantine.dir", "folder for packets on which a parser fails")
	cmd.Flags().StringVar(&spool, "spool", "", "write the reports into this folder, as a tap spools them")
	cmd.Flags().StringVar(&to, "to", "", "deliver the reports: node")
	return cmd
}

// named gives the file - the name by which it is opened.
func named(files []string) []string {
	files = slices.Clone(files)
	for i := range files {
		if files[i] == "-" {
			files[i] = "/dev/stdin"
		}
	}
	return files
}

// parseSpeed reads how fast a file is replayed; 0 is as fast as possible.
func parseSpeed(text string) (float64, error) {
	if text == "max" {
		return 0, nil
	}
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || !(n >= 0.001 && n <= 1e6) {
		return 0, errs.New(errs.Invalid, "--speed %q: write max, or how many times as fast as the file: 1, 10, 0.5", text)
	}
	return n, nil
}
