package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/base/errs"
)

// Info is a member as the others see it.
type Info struct {
	ID       string    `json:"id"`
	Host     string    `json:"host"`
	Address  string    `json:"address,omitempty"`
	Roles    []string  `json:"roles,omitempty"`
	Version  string    `json:"version"`
	Started  time.Time `json:"started"` // by the database's clock
	Seen     time.Time `json:"seen"`    // likewise
	Alive    bool      `json:"alive"`   // seen within three heartbeats
	Draining bool      `json:"draining,omitempty"`
	Load     Load      `json:"load"`
}

// Load is what a node bears, measured over its last heartbeat.
type Load struct {
	CPU         float64 `json:"cpu"`          // share of its cores that the process uses, 0 to 1
	HostCPU     float64 `json:"host_cpu"`     // share of the machine's cores that are in use, 0 to 1
	Memory      uint64  `json:"memory"`       // bytes that the process holds
	MemoryLimit uint64  `json:"memory_limit"` // bytes that it may hold
	MemoryShort bool    `json:"memory_short"` // it is near the limit, or refused reports for it
	Requests    int64   `json:"requests"`     // reports being taken just now
	Reports     float64 `json:"reports"`      // taken a second
	Refused     float64 `json:"refused"`      // answered 429 or 503 a second
	AnswerMS    float64 `json:"answer_ms"`    // mean time until a report was answered
	ReceiveMS   float64 `json:"receive_ms"`   // mean time of it that went by until the body was there
	LagMS       float64 `json:"lag_ms"`       // from a report's end to its commit
	QueueBytes  int64   `json:"queue_bytes"`  // of reports that wait for the database
	DatabaseMS  float64 `json:"database_ms"`  // time of one small transaction, once it has a connection: the last heartbeat's
	PoolWaitMS  float64 `json:"pool_wait_ms"` // mean wait for a connection
	PoolInUse   int     `json:"pool_in_use"`
	PoolMax     int     `json:"pool_max"`
}

// register writes the heartbeat. It reads back whether the node is to drain.
func (m *Member) register(ctx context.Context) error {
	load, err := json.Marshal(m.deps.Load())
	if err != nil {
		return err
	}
	now := m.clock()
	var draining, theirs int64
	var asked, told time.Time
	err = m.deps.DB.Tx(ctx, func(tx *database.Tx) error {
		asked = time.Now()
		m.noteBegin(asked) // waiting for a connection is not the database's doing
		err := tx.QueryRow(ctx, `INSERT INTO nodes (id, host, version, started_us, seen_us, roles, address, load) VALUES ($1, $2, $3, `+now+`, `+now+`, $4, $5, $6)
			ON CONFLICT (id) DO UPDATE SET seen_us = excluded.seen_us, address = excluded.address, load = excluded.load RETURNING draining, seen_us`,
			m.id, m.host, m.deps.Version, strings.Join(m.deps.Roles, ","), database.Text(m.deps.Address()), string(load)).Scan(&draining, &theirs)
		told = time.Now()
		return err
	})
	if err != nil {
		return err
	}
	m.metrics.skew.Set(database.FromMicros(theirs).Sub(asked.Add(told.Sub(asked) / 2)).Seconds())
	m.setDraining(draining != 0)
	return nil
}

// heartbeat renews the row; a row that somebody deleted comes back. A member
// that has been silent for a day is no longer listed.
func (m *Member) heartbeat(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, max(m.cfg.Heartbeat, time.Second))
	defer cancel()
	m.noteBegin(time.Now())
	err := m.register(ctx)
	took := m.sinceBegin()
	if err == nil {
		_, err = m.deps.DB.Exec(ctx, `DELETE FROM nodes WHERE seen_us < `+m.clock()+` - $1`, (24 * time.Hour).Microseconds())
	}
	if err != nil {
		m.metrics.missed.Inc()
		m.deps.Log.Warn("the node's heartbeat could not be written; others will think that it is gone", "error", err)
	}
	m.noteBeat(err, took)
}

func (m *Member) leave(ctx context.Context) error {
	if _, err := m.deps.DB.Exec(ctx, `DELETE FROM nodes WHERE id = $1`, m.id); err != nil {
		return fmt.Errorf("taking the node off the list: %w", err)
	}
	return nil
}

// Members lists the processes that share the database, the oldest first.
func (m *Member) Members(ctx context.Context) ([]Info, error) {
	rows, err := m.deps.DB.Query(ctx, `SELECT id, host, version, started_us, seen_us, roles, address, draining, load, `+m.clock()+` FROM nodes ORDER BY started_us, id LIMIT 1000`)
	if err != nil {
		return nil, fmt.Errorf("listing nodes: %w", err)
	}
	defer rows.Close()
	out := []Info{}
	for rows.Next() {
		var i Info
		var started, seen, draining, now int64
		var roles, load string
		if err := rows.Scan(&i.ID, &i.Host, &i.Version, &started, &seen, &roles, &i.Address, &draining, &load, &now); err != nil {
			return nil, fmt.Errorf("listing nodes: %w", err)
		}
		i.Started, i.Seen, i.Draining = database.FromMicros(started), database.FromMicros(seen), draining != 0
		i.Alive = now-seen < 3*m.cfg.Heartbeat.Microseconds()
		i.Roles = strings.FieldsFunc(roles, func(r rune) bool { return r == ',' })
		_ = json.Unmarshal([]byte(load), &i.Load) // of another version: what it has in common
		out = append(out, i)
	}
	return out, rows.Err()
}

// find returns the one member whose id begins with the word, or that runs on
// the host of that name. "" is this process.
func (m *Member) find(ctx context.Context, word string) (Info, error) {
	if word == "" {
		word = m.id
	}
	all, err := m.Members(ctx)
	if err != nil {
		return Info{}, err
	}
	var found []Info
	for _, i := range all {
		if i.ID == word {
			return i, nil
		}
		if strings.HasPrefix(i.ID, word) || i.Host == word {
			found = append(found, i)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return Info{}, errs.New(errs.NotFound, "there is no node %.64q: `rind cluster status` lists them", word)
	}
	return Info{}, errs.New(errs.Conflict, "%d nodes answer to %.64q: give the id of one, as `rind cluster status` lists it", len(found), word)
}

// Drain makes a node take nothing new and let go of its leases, or ends that.
// It holds until the process ends.
func (m *Member) Drain(ctx context.Context, node string, on bool) (Info, error) {
	i, err := m.find(ctx, node)
	if err != nil {
		return i, err
	}
	var mark int64
	if on {
		mark = 1
	}
	err = m.deps.DB.Tx(ctx, func(tx *database.Tx) error {
		n, err := tx.Exec(ctx, `UPDATE nodes SET draining = $1 WHERE id = $2`, mark, i.ID)
		if err == nil && n == 0 {
			err = errs.New(errs.NotFound, "the node %s has gone", i.ID)
		}
		if err != nil {
			return err
		}
		return m.announce(ctx, tx, drainTopic)
	})
	if err != nil {
		return i, fmt.Errorf("draining the node %s: %w", i.ID, err)
	}
	i.Draining = on
	if i.ID == m.id {
		m.setDraining(on)
	}
	return i, nil
}

// drainTopic is announced when a node is to drain.
const drainTopic = "drain"

func (m *Member) readDraining(ctx context.Context) {
	var mark int64
	if err := m.deps.DB.QueryRow(ctx, `SELECT draining FROM nodes WHERE id = $1`, m.id).Scan(&mark); err == nil {
		m.setDraining(mark != 0)
	}
}

// Draining reports whether the node takes nothing new.
func (m *Member) Draining() bool { return m.draining.Load() }

// DrainsFor is how long the node has been draining; 0 when it does not.
func (m *Member) DrainsFor() time.Duration {
	since := m.drainSince.Load()
	if since == nil || !m.Draining() {
		return 0
	}
	return time.Since(*since)
}

func (m *Member) setDraining(on bool) {
	if on && !m.Draining() {
		now := time.Now()
		m.drainSince.Store(&now)
	}
	if m.draining.Swap(on) == on {
		return
	}
	m.deps.Log.Info("the node's draining changed", "draining", on)
	m.held.wake()
}

// Check says whether the database was reached lately.
func (m *Member) Check(ctx context.Context) error {
	if err := m.deps.DB.Ping(ctx); err != nil {
		return fmt.Errorf("no report can be committed, taps keep theirs meanwhile; check the database: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.beatErr != nil && time.Since(m.beat) > 3*m.cfg.Heartbeat {
		return fmt.Errorf("no heartbeat was written since %s, so that other nodes do this one's periodic work; check that the database takes writes: %w",
			m.beat.UTC().Format(time.RFC3339), m.beatErr)
	}
	return nil
}

func (m *Member) noteBeat(err error, took time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.beatErr = err; err == nil {
		m.beat = time.Now()
	}
	m.beatTook, m.beatBegan = took, time.Time{}
}

func (m *Member) noteBegin(now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.beatBegan = now
}

func (m *Member) sinceBegin() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	return time.Since(m.beatBegan)
}

// BeatTook is how long the last heartbeat's transaction took, or the one takes
// that is under way when that is longer.
func (m *Member) BeatTook() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.beatBegan.IsZero() {
		return m.beatTook
	}
	return max(m.beatTook, time.Since(m.beatBegan))
}

// Self is this process as it knows itself, when the database does not tell.
func (m *Member) Self() Info {
	return Info{ID: m.id, Host: m.host, Address: m.deps.Address(), Roles: m.deps.Roles, Version: m.deps.Version, Alive: true, Draining: m.Draining()}
}
