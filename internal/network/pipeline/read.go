package pipeline

import (
	"context"
	"errors"
	"io"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/capture"
)

// ReadFile puts a whole file through the pipeline and hands each report to
// emit: one at the end of each window of the file (see
// capture.FileOptions.Window), earlier ones when the flow table is full, and
// the last one. When the file is damaged, what stood before the damage has
// been reported by the time the error returns.
func ReadFile(ctx context.Context, f *capture.File, p *Pipeline, emit func(network.Report) error) error {
	for {
		_, err := f.Read(p, 0)
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			if out := emit(p.Finish(p.Latest())); out != nil {
				return out
			}
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		end, done := f.WindowDone()
		if !done && p.Due() {
			end, done = p.Latest(), true
		}
		if done {
			if err := emit(p.Cut(end)); err != nil {
				return err
			}
		}
	}
}
