package node

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/rind-project/rind/internal/base/database"
)

func migrations() []database.Migration {
	return []database.Migration{{Name: "node/0001_nodes", SQL: `
CREATE TABLE nodes (
	id TEXT PRIMARY KEY,
	host TEXT NOT NULL,
	version TEXT NOT NULL,
	started_us BIGINT NOT NULL,
	seen_us BIGINT NOT NULL
);
CREATE TABLE leases (
	name TEXT PRIMARY KEY,
	holder TEXT NOT NULL,
	epoch BIGINT NOT NULL,
	until_us BIGINT NOT NULL
);
`}}
}

// Info is a node as the others see it.
type Info struct {
	ID      string    `json:"id"`
	Host    string    `json:"host"`
	Version string    `json:"version"`
	Started time.Time `json:"started"` // by the database's clock
	Seen    time.Time `json:"seen"`    // likewise
	Alive   bool      `json:"alive"`   // seen within three heartbeats
}

// clock is the database's clock in microseconds: the one that all nodes
// agree on.
func clock(e database.Engine) string {
	if e == database.PostgreSQL {
		return "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)"
	}
	return "CAST(ROUND((julianday('now') - 2440587.5) * 86400000) AS BIGINT) * 1000"
}

func (n *Node) register(ctx context.Context) error {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	now := clock(n.deps.DB.Engine())
	_, err = n.deps.DB.Exec(ctx, `INSERT INTO nodes (id, host, version, started_us, seen_us) VALUES ($1, $2, $3, `+now+`, `+now+`)
		ON CONFLICT (id) DO UPDATE SET seen_us = excluded.seen_us`, n.id, database.Text(host), n.deps.Version)
	return err
}

// heartbeat renews the row; a row that somebody deleted comes back. A node
// that has been silent for a day is no longer listed.
func (n *Node) heartbeat(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, max(n.cfg.Heartbeat, time.Second))
	defer cancel()
	err := n.register(ctx)
	if err == nil {
		_, err = n.deps.DB.Exec(ctx, `DELETE FROM nodes WHERE seen_us < `+clock(n.deps.DB.Engine())+` - $1`, (24 * time.Hour).Microseconds())
	}
	if err != nil && ctx.Err() == nil {
		n.deps.Log.Warn("the node's heartbeat could not be written", "error", err)
	}
	n.noteBeat(err)
}

func (n *Node) leave(ctx context.Context) error {
	if _, err := n.deps.DB.Exec(ctx, `DELETE FROM nodes WHERE id = $1`, n.id); err != nil {
		return fmt.Errorf("taking the node off the list: %w", err)
	}
	return nil
}

// Nodes lists the nodes that share the database, the oldest first.
func (n *Node) Nodes(ctx context.Context) ([]Info, error) {
	rows, err := n.deps.DB.Query(ctx, `SELECT id, host, version, started_us, seen_us, `+clock(n.deps.DB.Engine())+` FROM nodes ORDER BY started_us, id LIMIT 1000`)
	if err != nil {
		return nil, fmt.Errorf("listing nodes: %w", err)
	}
	defer rows.Close()
	out := []Info{}
	for rows.Next() {
		var i Info
		var started, seen, now int64
		if err := rows.Scan(&i.ID, &i.Host, &i.Version, &started, &seen, &now); err != nil {
			return nil, fmt.Errorf("listing nodes: %w", err)
		}
		i.Started, i.Seen = database.FromMicros(started), database.FromMicros(seen)
		i.Alive = now-seen < 3*n.cfg.Heartbeat.Microseconds()
		out = append(out, i)
	}
	return out, rows.Err()
}
