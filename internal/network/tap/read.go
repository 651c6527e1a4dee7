package tap

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"time"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/capture"
	"github.com/rind-project/rind/internal/network/pipeline"
)

// fileWindow is the packet time that one report of a file covers.
const fileWindow = 10 * time.Second

// ReadOptions says what becomes of the files that are read. The default is a
// summary of each file for people.
type ReadOptions struct {
	Out      io.Writer // the summary, or the reports in JSON
	Progress io.Writer // may be nil
	JSON     bool      // write each report as a line of JSON
	Filter   string    // packets to take; see package filter
	Speed    float64   // replay at so many times the file's own speed; 0 is as fast as possible
	Deliver  *Config   // deliver the reports to this configuration's nodes
	Spool    string    // write the reports, encoded as they travel, into this spool
	Now      bool      // deliver as if each capture ended now; then reading it again counts it again
	Flow     Flow      // zero values stand for the defaults
	Parsers  Parsers
	Keep     Quarantine // packets on which a parser failed
	Version  string
	Log      *slog.Logger

	kept *pipeline.Quarantine // nil keeps none
}

// pipeline is how a file is summarised: as an interface is.
func (o *ReadOptions) pipeline(path string) pipeline.Config {
	cfg := pipeline.Config{Interface: path, Settings: pipeline.Settings{Disabled: o.Parsers.Disabled}, Quarantine: o.kept, Log: o.Log}
	o.Flow.into(&cfg, 1)
	return cfg
}

// sink takes the reports of files.
type sink interface {
	// begin starts a file.
	begin(ctx context.Context, path string) error
	// report takes the next report of the file, and keeps no list of it.
	report(ctx context.Context, r *network.Report) error
	// end closes the file; failure says what broke it off, if anything.
	end(ctx context.Context, failure error) error
	close() error
}

// ReadFiles reads capture files, one after the other, as if each were an
// interface: a ledger for each file, and a report for each ten seconds of
// packet time. A damaged file gives one error and what could be read of it is
// reported; the files after it are read. The error joins those of all files.
func ReadFiles(ctx context.Context, files []string, opts ReadOptions) error {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if err := (pipeline.Settings{Disabled: opts.Parsers.Disabled}).Validate(); err != nil {
		return err
	}
	var err error
	if opts.kept, err = opts.Keep.open(); err != nil {
		return err
	}
	out, err := newSink(opts)
	if err != nil {
		return err
	}
	var all []error
	for _, path := range files {
		err := readFile(ctx, path, opts, out)
		if err != nil {
			all = append(all, err)
		}
		if ctx.Err() != nil {
			if !errors.Is(err, ctx.Err()) {
				all = append(all, ctx.Err())
			}
			break
		}
	}
	if kept, refused := opts.kept.Counts(); kept+refused > 0 {
		opts.Log.Warn("parsers failed on packets, which are kept", "folder", opts.Keep.Dir, "kept", kept, "without_room", refused)
	}
	return errors.Join(append(all, out.close())...)
}

func newSink(opts ReadOptions) (sink, error) {
	switch {
	case opts.Deliver != nil:
		return newDelivery(opts)
	case opts.Spool != "":
		return newSpooled(opts)
	case opts.JSON:
		return newJSONSink(opts), nil
	}
	return &summary{out: opts.Out}, nil
}

// readFile reads one file. A failure of the sink ends the reading, a failure
// of the file is told after what was read of it.
func readFile(ctx context.Context, path string, opts ReadOptions, out sink) error {
	f, err := capture.OpenFile(ctx, path, capture.FileOptions{Window: fileWindow, Filter: opts.Filter, Speed: opts.Speed})
	if err != nil {
		return err
	}
	defer f.Close()
	if err := out.begin(ctx, path); err != nil {
		return err
	}
	pipe := pipeline.New(opts.pipeline(path))
	var taking error
	failure := pipeline.ReadFile(ctx, f, pipe, func(r network.Report) error {
		taking = out.report(ctx, &r)
		pipe.Reuse(&r) // a sink keeps no rows
		return taking
	})
	if taking != nil {
		failure = nil // it is the same error
	}
	ending := out.end(ctx, failure)
	if taking != nil {
		return taking
	}
	return errors.Join(failure, ending)
}
