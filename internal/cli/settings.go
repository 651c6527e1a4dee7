package cli

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/rind-project/rind/internal/api/wire"
	"github.com/rind-project/rind/internal/cli/render"
	"github.com/rind-project/rind/internal/fleet/settings"
)

func (s *shell) settingsCommand() *cobra.Command {
	layer := group("layer", "Layers, which are merged in their order", s.layerListCommand(), s.layerSetCommand(), s.layerShowCommand(), s.layerDeleteCommand())
	return group("settings", "What hosts are configured with", s.settingsShowCommand(), layer)
}

func (s *shell) layerListCommand() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the layers in their order", Example: "  rind settings layer list", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var out wire.LayersOut
			if err := s.get(cmd.Context(), "/settings/layers", nil, &out); err != nil {
				return err
			}
			return showList(s, out.Layers, func() *render.Table {
				t := &render.Table{Columns: render.Columns(">ORDER", "NAME", "TARGET", ">SIZE", "CHANGED", "BY"),
					Empty: "no layer here; make one with: rind settings layer set NAME --target TARGET -f FILE"}
				for _, l := range out.Layers {
					t.Add(strconv.Itoa(l.Order), l.Name, l.Target, render.Bytes(int64(l.Bytes)), s.ago(l.Changed), l.By)
				}
				return t
			})
		},
	}
}

func (s *shell) layerSetCommand() *cobra.Command {
	var in wire.LayerIn
	var file string
	cmd := &cobra.Command{
		Use: "set NAME --target TARGET --order N -f FILE", Aliases: []string{"add"}, Short: "Make a layer, or replace it as a whole",
		Long: "Make a layer of settings, or replace it as a whole. The file is a map of keys and values, in YAML or\n" +
			"JSON. Layers are merged in their order: maps key by key, lists and values are replaced by what comes\n" +
			"later. Hosts that are meant have them within seconds, others when they come back.",
		Example: "  rind settings layer set base --target '*' --order 0 -f base.yaml\n" +
			"  rind settings layer set web --target 'N@web and G@os:Debian' --order 50 -f web.yaml\n" +
			"  echo 'web: {port: 8080}' | rind settings layer set canary --target web-01 --order 90 -f -",
		Args: cobra.ExactArgs(1), ValidArgsFunction: s.completeLayer,
		RunE: func(cmd *cobra.Command, args []string) error {
			data, err := s.readData(file)
			if err != nil {
				return err
			}
			in.Data = data
			c, err := s.client(cmd.Context())
			if err != nil {
				return err
			}
			var out settings.Layer
			if err := c.Send(cmd.Context(), http.MethodPut, "/settings/layers/"+url.PathEscape(args[0]), in, &out); err != nil {
				return pointed(err, in.Target)
			}
			if s.format != asTable {
				return s.show(out, nil)
			}
			return s.done("the layer %s is set, for %s", out.Name, out.Target)
		},
	}
	cmd.Flags().StringVar(&in.Target, "target", "", "whom it is for; it may not ask for settings (I@)")
	cmd.Flags().IntVar(&in.Order, "order", 50, "place among the layers, small ones first; what comes later wins")
	cmd.Flags().StringVarP(&file, "file", "f", "", "file of keys and values, YAML or JSON; - is the standard input")
	_ = cmd.MarkFlagRequired("target")
	_ = cmd.MarkFlagRequired("file")
	_ = cmd.MarkFlagFilename("file", "yaml", "yml", "json")
	return cmd
}

// readData reads a layer. The server says what is wrong with it; here only its
// size is looked at.
func (s *shell) readData(file string) (string, error) {
	in := s.opts.In
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return "", err
		}
		defer f.Close()
		in = f
	}
	data, err := io.ReadAll(io.LimitReader(in, settings.MaxData+1))
	switch {
	case err != nil:
		return "", fmt.Errorf("reading %s: %w", file, err)
	case len(data) > settings.MaxData:
		return "", fmt.Errorf("%s has over %s, which is the most that a layer may have; make several layers of it", file, render.Bytes(settings.MaxData))
	case len(data) == 0:
		return "", errors.New(file + " is empty; {} is a layer without settings")
	}
	return string(data), nil
}

func (s *shell) layerShowCommand() *cobra.Command {
	return &cobra.Command{
		Use: "show NAME", Short: "Show a layer as it was written", Example: "  rind settings layer show web\n  rind settings layer show web > web.yaml",
		Args: cobra.ExactArgs(1), ValidArgsFunction: s.completeLayer,
		RunE: func(cmd *cobra.Command, args []string) error {
			var l settings.Layer
			if err := s.get(cmd.Context(), "/settings/layers/"+url.PathEscape(args[0]), nil, &l); err != nil {
				return err
			}
			if s.format != asTable {
				return s.show(l, nil)
			}
			s.hint("# layer %s, order %d, for %s; changed %s by %s", render.Line(l.Name), l.Order, render.Line(l.Target), s.ago(l.Changed), render.Line(l.By))
			return say(s.opts.Out, render.Text(trimmed(l.Data)))
		},
	}
}

// trimmed is a text without its last line break, which say adds.
func trimmed(text string) string {
	if n := len(text); n > 0 && text[n-1] == '\n' {
		return text[:n-1]
	}
	return text
}

func (s *shell) layerDeleteCommand() *cobra.Command {
	return &cobra.Command{
		Use: "delete NAME", Short: "Delete a layer; hosts lose what it set", Example: "  rind settings layer delete canary",
		Args: cobra.ExactArgs(1), ValidArgsFunction: s.completeLayer,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := s.delete(cmd.Context(), "/settings/layers/"+url.PathEscape(args[0])); err != nil {
				return err
			}
			return s.done("the layer %s is deleted", args[0])
		},
	}
}

func (s *shell) settingsShowCommand() *cobra.Command {
	return &cobra.Command{
		Use: "show PEEL", Short: "Show the settings of a host, and the layer that each value comes from",
		Long: "Show what a host is configured with by the layers as they are now, and the layer that each value\n" +
			"comes from. What the host itself has: rind PEEL settings.items",
		Example: "  rind settings show web-01\n  rind settings show web-01 -o json",
		Args:    cobra.ExactArgs(1), ValidArgsFunction: s.completePeel,
		RunE: func(cmd *cobra.Command, args []string) error {
			var e settings.Effective
			if err := s.get(cmd.Context(), "/peels/"+url.PathEscape(args[0])+"/settings", nil, &e); err != nil {
				return err
			}
			return s.show(e, func() *render.Table {
				t := &render.Table{Columns: render.Columns("KEY", "VALUE", "LAYER"), Empty: "no layer is for this host"}
				for _, o := range e.Origins {
					t.Add(o.Key, string(o.Value), o.Layer)
				}
				return t
			})
		},
	}
}

func (s *shell) completeLayer(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, noFiles
	}
	var out wire.LayersOut
	s.ask(cmd, "/settings/layers", nil, &out)
	var all []cobra.Completion
	for _, l := range out.Layers {
		all = append(all, cobra.CompletionWithDesc(render.Line(l.Name), render.Line(l.Target)))
	}
	return all, noFiles
}
