// Package tap composes rind-tap: its command line, its components, and the
// wall between the process that opens sockets and the one that parses.
package tap

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/rind-project/rind/internal/app/daemon"
	"github.com/rind-project/rind/internal/network/capture"
	"github.com/rind-project/rind/internal/network/tap"
)

// Main runs the command line and returns the exit code.
func Main(args []string, out, errOut io.Writer) int {
	tuneCollector()
	return daemon.Execute(command(), args, out, errOut)
}

func command() *cobra.Command {
	load := &daemon.Loader{Prefix: "RIND_TAP", Default: "/etc/rind/tap.yaml"}
	root := &cobra.Command{
		Use:   "rind-tap",
		Short: "the sensor: it captures packets and sends summaries",
		Long: "rind-tap captures on interfaces, or reads capture files, and makes reports of what it\n" +
			"saw: flows, DNS queries, TLS handshakes, and a ledger of every packet. Packets never\n" +
			"leave it.",
		Example: "  rind-tap read trace.pcap\n  rind-tap join --server https://rind.example:8443 --pin sha256:… --token …\n  rind-tap run --interface eth0",
	}
	load.Bind(root)
	load.BindKey(root, "data", "data_dir", "folder of the spool and the state")
	fresh := func() any { c := DefaultConfig(); return &c }
	root.AddCommand(joinCommand(load), runCommand(load), parseCommand(load), readCommand(load), checkCommand(load), statusCommand(load),
		load.ConfigCommand("rind-tap", fresh), daemon.VersionCommand("rind-tap"))
	completeFlags(root)
	return root
}

// loadConfig reads the configuration and what join kept.
func loadConfig(load *daemon.Loader, interfaces []string) (Config, error) {
	cfg, err := readConfig(load, interfaces)
	if err != nil {
		return cfg, err
	}
	return cfg, cfg.complete()
}

// readConfig reads the configuration alone.
func readConfig(load *daemon.Loader, interfaces []string) (Config, error) {
	cfg := DefaultConfig()
	if _, err := load.Load(&cfg); err != nil {
		return cfg, err
	}
	if len(interfaces) > 0 {
		cfg.Interfaces = chosen(cfg.Interfaces, interfaces)
	}
	return cfg, cfg.Validate() // the command line names interfaces too
}

// chosen returns the interfaces of the command line, those that are configured
// with their settings.
func chosen(configured []tap.Interface, names []string) []tap.Interface {
	all := tap.Named(names...)
	for i := range all {
		for _, c := range configured {
			if c.Name == all[i].Name {
				all[i] = c
			}
		}
	}
	return all
}

func interfaceFlag(cmd *cobra.Command, into *[]string) {
	cmd.Flags().StringArrayVarP(into, "interface", "i", nil, "interface to capture on (repeatable)")
}

func needInterfaces(cfg Config) error {
	if len(cfg.Interfaces) == 0 {
		return fmt.Errorf("no interface to capture on: name one with --interface or the key interfaces; this host has %s", capture.InterfaceNames())
	}
	return nil
}
