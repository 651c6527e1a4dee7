package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/rind-project/rind/internal/api/wire"
	"github.com/rind-project/rind/internal/cli/client"
	"github.com/rind-project/rind/internal/cli/render"
	"github.com/rind-project/rind/internal/fleet"
)

func (s *shell) eventCommand() *cobra.Command {
	return group("event", "What hosts and people tell of", s.eventListCommand(), s.eventWatchCommand(), s.eventSendCommand())
}

func (s *shell) eventListCommand() *cobra.Command {
	var p paging
	var since string
	list := &cobra.Command{
		Use: "list [GLOB]", Short: "List the latest events, from old to new",
		Long: "List the latest events whose names match GLOB, from old to new. In it * stands for anything, also for dots and slashes.\n" +
			"What masters tell of jobs has a slash in its name: job/created, job/done.",
		Example: "  rind event list\n  rind event list 'disk.*' --since 1d\n  rind event list 'job/*' --since 15m --all -o ndjson",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.listEvents(cmd.Context(), p, eventQuery(args, since))
		},
	}
	p.flags(list, 100)
	list.Flags().StringVar(&since, "since", "1h", "not older: a time such as 2026-01-02T15:04:05Z, or how long ago such as 15m")
	return list
}

func (s *shell) eventWatchCommand() *cobra.Command {
	var since string
	watch := &cobra.Command{
		Use: "watch [GLOB]", Short: "Show events as they come, until Ctrl-C",
		Long: "Show the events whose names match GLOB as they come, until Ctrl-C. In GLOB * stands for anything, also for dots and\n" +
			"slashes. When the connection is cut, it is taken up where it was. With -o json each event is one line.",
		Example: "  rind event watch\n  rind event watch 'disk.*' --since 10m\n  rind event watch 'job/*' -o json",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.watchEvents(cmd.Context(), eventQuery(args, since))
		},
	}
	watch.Flags().StringVar(&since, "since", "", "those since then first: a time such as 2026-01-02T15:04:05Z, or how long ago such as 10m")
	return watch
}

func (s *shell) eventSendCommand() *cobra.Command {
	return &cobra.Command{
		Use: "send NAME [DATA]", Short: "Tell of an event",
		Long:    "Tell of an event. DATA is JSON, or else a text. It is stored when the command ends.",
		Example: "  rind event send deploy.done\n  rind event send deploy.done '{\"version\": 7}'\n  rind event send note 'disk changed in rack 4'",
		Args:    cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			in := wire.EventIn{Name: args[0]}
			if len(args) > 1 {
				var err error
				if in.Data, err = fleet.ParseValue(args[1]); err != nil {
					return fmt.Errorf("the event's data cannot be sent: %w", err)
				}
			}
			var out fleet.Event
			if err := s.post(cmd.Context(), "/events/send", in, &out); err != nil {
				return err
			}
			return s.show(out, fields("name", out.Name, "id", out.ID, "seq", strconv.FormatUint(out.Seq, 10), "at", out.At.UTC().Format(time.RFC3339)))
		},
	}
}

func eventQuery(args []string, since string) url.Values {
	q := url.Values{}
	if len(args) > 0 {
		set(q, "glob", args[0])
	}
	set(q, "since", since)
	return q
}

func (s *shell) listEvents(ctx context.Context, p paging, q url.Values) error {
	if !p.all {
		q.Set("latest", "true")
	}
	all, _, err := collect(ctx, p, "after", q, func(ctx context.Context, q url.Values) ([]fleet.Event, string, error) {
		var out wire.EventsOut
		err := s.get(ctx, "/events/list", q, &out)
		next := ""
		if out.Next > 0 {
			next = strconv.FormatUint(out.Next, 10)
		}
		return out.Events, next, err
	})
	if err != nil {
		return err
	}
	if !p.all && len(all) >= min(p.limit, maxPage) && s.format == asTable {
		defer s.hint("shown are the latest %d; --limit (up to %d) or --all shows more", len(all), maxPage)
	}
	return showList(s, all, func() *render.Table {
		t := &render.Table{Columns: render.Columns("TIME", "FROM", "NAME", "DATA"), Empty: "no event; --since looks further back, and `rind event send` makes one"}
		for _, e := range all {
			t.Add(render.Clock(s.opts.Now(), e.At), sender(e), e.Name, eventData(e.Data))
		}
		return t
	})
}

// sender is who told of an event.
func sender(e fleet.Event) string {
	if e.Peel != "" {
		return string(e.Peel)
	}
	return "user " + e.By
}

func eventData(data json.RawMessage) string {
	var text string
	if json.Unmarshal(data, &text) == nil {
		return render.Line(text)
	}
	var b bytes.Buffer
	if json.Compact(&b, data) != nil {
		return ""
	}
	return render.Line(b.String())
}

// retakeAfter is the longest wait before a cut watch is taken up again.
const retakeAfter = 5 * time.Second

// watchEvents shows events until somebody ends it, over cuts of the connection.
func (s *shell) watchEvents(ctx context.Context, q url.Values) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	c, err := s.client(ctx)
	if err != nil {
		return err
	}
	w := &eventWatch{shell: s, client: c, query: q}
	for wait := 200 * time.Millisecond; ; wait = min(2*wait, retakeAfter) {
		began := w.last
		err := c.Events(ctx, "/events/watch?"+w.query.Encode(), w.visit)
		switch {
		case ctx.Err() != nil:
			return nil // Ctrl-C
		case w.failed != nil:
			return w.failed
		case errors.Is(err, client.ErrCut):
			w.open = true
		case !w.open || !passing(err):
			return err
		}
		if w.last != began {
			wait = 200 * time.Millisecond
		}
		s.hint("the connection to the server was cut; it is taken up again")
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
	}
}

// eventWatch is a watch that goes on.
type eventWatch struct {
	*shell
	client *client.Client
	query  url.Values
	last   string // seq of the last event
	open   bool   // the server has answered once
	failed error  // the output does
}

func (w *eventWatch) visit(e client.Event) (bool, error) {
	w.open = true
	switch e.Name {
	case "event":
		var ev fleet.Event
		if w.failed = json.Unmarshal(e.Data, &ev); w.failed == nil {
			w.last = strconv.FormatUint(ev.Seq, 10)
			w.query.Set("after", w.last)
			w.failed = w.arrived(ev)
		}
	case "place":
		var place wire.EventsPlace
		if w.failed = json.Unmarshal(e.Data, &place); w.failed == nil {
			w.query.Set("after", strconv.FormatUint(place.Seq, 10)) // to go on there after a cut
		}
	case "lost":
		var lost wire.EventsLost
		if w.failed = json.Unmarshal(e.Data, &lost); w.failed == nil {
			w.hint("%d events, of any name, were gone from the server before they could be shown", lost.Events)
		}
	}
	return w.failed == nil, w.failed
}

// arrived shows an event as one line.
func (w *eventWatch) arrived(e fleet.Event) error {
	switch w.format {
	case asJSON, asNDJSON:
		return render.NDJSON(w.opts.Out, e)
	case asYAML:
		if err := say(w.opts.Out, "---"); err != nil {
			return err
		}
		return render.YAML(w.opts.Out, e)
	}
	data := eventData(e.Data)
	if !w.wide {
		data = clip(data, 120)
	}
	line := fmt.Sprintf("%-8s  %-20s  %-20s  %s", render.Clock(w.opts.Now(), e.At), render.Line(sender(e)), render.Line(e.Name), data)
	return say(w.opts.Out, string(bytes.TrimRight([]byte(line), " ")))
}
