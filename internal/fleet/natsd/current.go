package natsd

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/rind-project/rind/internal/base/errs"
)

// currentWait bounds one question whether the streams are current.
const currentWait = 5 * time.Second

// Current returns nil when this server has what it keeps of the streams, as
// the others have it. One that has just started catches up first; were the
// next one stopped before that, most of a stream's copies would be missing.
func (s *Server) Current(ctx context.Context) error {
	if !s.cfg.Clustered() {
		return nil
	}
	srv := s.running()
	if srv == nil {
		return errs.New(errs.Unavailable, "the bus does not run")
	}
	ctx, cancel := context.WithTimeout(ctx, currentWait)
	defer cancel()
	nc, err := s.systemConnection(ctx)
	if err != nil {
		return err
	}
	msg, err := nc.RequestWithContext(ctx, "$SYS.REQ.SERVER."+srv.ID()+".HEALTHZ", nil)
	if err != nil {
		return errs.New(errs.Unavailable, "the bus does not say whether its streams are current: %w", err)
	}
	var answer struct {
		Data struct {
			Status string `json:"status"`
			Error  string `json:"error"`
		} `json:"data"`
	}
	if err := json.Unmarshal(msg.Data, &answer); err != nil {
		return fmt.Errorf("reading whether the streams are current: %w", err)
	}
	if answer.Data.Status != "ok" {
		return errs.New(errs.Unavailable, "this server is not current with the others: %.300s", answer.Data.Error)
	}
	return nil
}

// WaitCurrent returns when the streams are current, as Current says, or after
// nats.cluster.leader_timeout an error.
func (s *Server) WaitCurrent(ctx context.Context) error {
	began := time.Now()
	told := began
	for {
		err := s.Current(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil || time.Since(began) >= s.cfg.Cluster.LeaderTimeout {
			return err
		}
		if time.Since(told) >= waitTell {
			told = time.Now()
			s.deps.Log.Warn("waiting until the streams of this server are as those of the others", "since", time.Since(began).Round(time.Second), "state", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(200 * time.Millisecond):
		}
	}
}
