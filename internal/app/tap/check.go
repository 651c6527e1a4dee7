package tap

import (
	"fmt"
	"net"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/rind-project/rind/internal/app/daemon"
)

// checkCommand says for each interface what would be captured, and what is
// missing.
func checkCommand(load *daemon.Loader) *cobra.Command {
	var interfaces []string
	cmd := &cobra.Command{
		Use: "check", Short: "say what would be captured, and what is missing", Args: cobra.NoArgs,
		Example: "  rind-tap check\n  rind-tap check --interface eth0",
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := loadConfig(load, interfaces)
			if err != nil {
				return err
			}
			bad := checkInterfaces(c, cfg)
			if len(cfg.Node.URLs) == 0 {
				fmt.Fprintln(c.OutOrStdout(), "no node: run the command that `rind tap add NAME` prints")
				bad++
			}
			if !canOpen() {
				fmt.Fprintln(c.OutOrStdout(), "no CAP_NET_RAW: start it as root, or `setcap cap_net_raw+ep` the binary; `rind-tap read FILE` works without")
				bad++
			}
			if bad > 0 {
				return &daemon.ExitError{Code: 1}
			}
			return nil
		},
	}
	interfaceFlag(cmd, &interfaces)
	return cmd
}

func checkInterfaces(c *cobra.Command, cfg Config) (bad int) {
	names := cfg.Interfaces
	if len(names) == 0 {
		fmt.Fprintln(c.OutOrStdout(), "no interface is configured; this host has:")
		all, _ := net.Interfaces()
		for _, dev := range all {
			names = append(names, dev.Name)
		}
		bad++
	}
	w := tabwriter.NewWriter(c.OutOrStdout(), 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "INTERFACE\tSTATE\tMTU\tMAC\tADDRESSES")
	for _, name := range names {
		dev, err := net.InterfaceByName(name)
		if err != nil {
			fmt.Fprintf(w, "%s\tmissing\t\t\t\n", name)
			bad++
			continue
		}
		state := "down"
		if dev.Flags&net.FlagUp != 0 {
			state = "up"
		}
		addrs, _ := dev.Addrs()
		texts := make([]string, len(addrs))
		for i, a := range addrs {
			texts[i] = a.String()
		}
		fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%s\n", name, state, dev.MTU, dev.HardwareAddr, strings.Join(texts, " "))
	}
	w.Flush()
	return bad
}
