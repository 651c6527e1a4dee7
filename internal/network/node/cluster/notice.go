package cluster

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/rind-project/rind/internal/base/database"
)

// channel is where changes are told of. Who hears something reads what has
// changed, so that databases may share it.
const channel = "rind_changes"

// topics are what this process wants to hear of.
type topics struct {
	mu    sync.Mutex
	heard map[string][]func()
	last  map[string]int64 // the revisions that were seen
	wake  chan struct{}    // holds a token when a task may be waiting
}

func newTopics() topics {
	return topics{heard: map[string][]func(){}, wake: make(chan struct{}, 1)}
}

// On calls f whenever somebody has announced the topic, here or elsewhere. f
// is short; it may be called more often than the topic was announced.
func (m *Member) On(topic string, f func()) {
	m.topics.mu.Lock()
	defer m.topics.mu.Unlock()
	m.topics.heard[topic] = append(m.topics.heard[topic], f)
}

// Announce tells all processes that something of the topic has changed.
func (m *Member) Announce(ctx context.Context, topic string) error {
	err := m.deps.DB.Tx(ctx, func(tx *database.Tx) error { return m.announce(ctx, tx, topic) })
	if err != nil {
		return fmt.Errorf("telling the other nodes of a change of %s: %w", topic, err)
	}
	return nil
}

// announce raises the topic's revision, which a poll would find, and sends a
// notice, which makes others look at once.
func (m *Member) announce(ctx context.Context, tx *database.Tx, topic string) error {
	_, err := tx.Exec(ctx, `INSERT INTO changes AS c (topic, revision) VALUES ($1, 1) ON CONFLICT (topic) DO UPDATE SET revision = c.revision + 1`, topic)
	if err != nil {
		return err
	}
	return tx.Notify(ctx, channel, topic)
}

// listen hears notices until the context ends; a connection that breaks is
// made again, and the poll serves meanwhile.
func (m *Member) listen(ctx context.Context) {
	for ctx.Err() == nil {
		err := m.deps.DB.Listen(ctx, channel, func(string) { m.poll(ctx) })
		if ctx.Err() != nil {
			return
		}
		m.metrics.deaf.Inc()
		m.deps.Log.Warn("changes of other nodes are heard of by asking only, until the database lets this one listen again", "every", m.cfg.Heartbeat, "error", err)
		if !pause(ctx, m.cfg.Heartbeat, nil) {
			return
		}
	}
}

// poll looks for topics that have changed, and tells who wants to know.
func (m *Member) poll(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, max(m.cfg.Heartbeat, time.Second))
	defer cancel()
	changed, err := m.changed(ctx)
	if err != nil {
		if ctx.Err() == nil {
			m.deps.Log.Debug("asking for changes", "error", err)
		}
		return
	}
	for _, topic := range changed {
		switch topic {
		case drainTopic:
			m.readDraining(ctx)
		case taskTopic:
			select {
			case m.topics.wake <- struct{}{}:
			default:
			}
		}
		m.topics.mu.Lock()
		all := m.topics.heard[topic]
		m.topics.mu.Unlock()
		for _, f := range all {
			f()
		}
	}
}

// changed reads the revisions, and returns the topics whose revision is
// another than that last seen.
func (m *Member) changed(ctx context.Context) ([]string, error) {
	m.topics.mu.Lock()
	defer m.topics.mu.Unlock()
	rows, err := m.deps.DB.Query(ctx, `SELECT topic, revision FROM changes LIMIT 1000`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	now := map[string]int64{}
	var changed []string
	for rows.Next() {
		var topic string
		var revision int64
		if err := rows.Scan(&topic, &revision); err != nil {
			return nil, err
		}
		now[topic] = revision
		if m.topics.last[topic] != revision {
			changed = append(changed, topic)
		}
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	m.topics.last = now
	return changed, nil
}
