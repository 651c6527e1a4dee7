package server

import (
	"maps"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/rind-project/rind/internal/fleet/blob/store"
	"github.com/rind-project/rind/internal/fleet/bus"
)

// composeFiles makes the store of files that are on their way.
func (s *Server) composeFiles() (err error) {
	s.files, err = store.New(s.cfg.Files, store.Deps{
		DB: s.db, JS: func() jetstream.JetStream { return s.client.js }, Log: s.log, Now: time.Now, Metrics: s.reg,
		Room: s.daemon.Room,
	})
	return err
}

// answers are what this server's rooms answer to peels.
func (s *Server) answers() map[string]bus.Answerer {
	all := s.basket.Answers()
	maps.Copy(all, s.files.Answers())
	return all
}
