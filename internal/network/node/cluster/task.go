package cluster

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/base/errs"
)

// Task is work that any process may do, once; it is tried again when it fails.
// There is one task of a kind and subject at a time.
type Task struct {
	ID       string    `json:"id"`
	Kind     string    `json:"kind"`
	Subject  string    `json:"subject"`
	State    string    `json:"state"`    // waiting, running or dead
	Attempts int64     `json:"attempts"` // that were begun
	Next     time.Time `json:"next"`     // waiting: when it is tried; running: when its claim ends
	Holder   string    `json:"holder,omitempty"`
	Error    string    `json:"error,omitempty"` // of the last attempt
	Created  time.Time `json:"created"`
}

// The states of a task. One that was done is no longer there.
const (
	TaskWaiting = "waiting"
	TaskRunning = "running"
	TaskDead    = "dead" // tried MaxAttempts times: a person looks at it
)

// MaxAttempts is how often a task is tried before it is dead.
const MaxAttempts = 8

// taskTopic is announced when a task is added.
const taskTopic = "tasks"

// workers are what this process can do.
type workers struct {
	mu    sync.Mutex
	kinds map[string]func(context.Context, Task) error
}

func newWorkers() workers { return workers{kinds: map[string]func(context.Context, Task) error{}} }

// Handle says what does the tasks of a kind. The function may be called again
// for a task that it did, when the process ended before that was written down.
func (m *Member) Handle(kind string, do func(context.Context, Task) error) {
	m.tasks.mu.Lock()
	defer m.tasks.mu.Unlock()
	m.tasks.kinds[kind] = do
}

// Add adds a task, in the transaction of what it follows from, unless it is
// there already.
func (m *Member) Add(ctx context.Context, tx *database.Tx, kind, subject string) error {
	now := m.clock()
	_, err := tx.Exec(ctx, `INSERT INTO tasks (id, kind, subject, state, attempts, next_us, holder, error, created_us)
		VALUES ($1, $2, $3, '`+TaskWaiting+`', 0, `+now+`, '', '', `+now+`) ON CONFLICT (kind, subject) DO NOTHING`, database.NewID(), kind, subject)
	if err != nil {
		return fmt.Errorf("adding the task %s of %q: %w", kind, subject, err)
	}
	return m.announce(ctx, tx, taskTopic)
}

// Asked are the subjects of the tasks of a kind that are there.
func (m *Member) Asked(ctx context.Context, kind string) (map[string]bool, error) {
	rows, err := m.deps.DB.Query(ctx, `SELECT subject FROM tasks WHERE kind = $1`, kind)
	if err != nil {
		return nil, fmt.Errorf("reading the tasks %s: %w", kind, err)
	}
	defer rows.Close()
	out := map[string]bool{}
	for rows.Next() {
		var subject string
		if err := rows.Scan(&subject); err != nil {
			return nil, fmt.Errorf("reading the tasks %s: %w", kind, err)
		}
		out[subject] = true
	}
	return out, rows.Err()
}

// takeTasks does tasks, one after the other, until the context ends.
func (m *Member) takeTasks(ctx context.Context) {
	for {
		for ctx.Err() == nil && !m.Draining() {
			t, ok, err := m.claim(ctx)
			if err != nil && ctx.Err() == nil {
				m.deps.Log.Warn("a task could not be taken", "error", err)
			}
			if err != nil || !ok {
				break
			}
			m.do(ctx, t)
		}
		if !pause(ctx, m.cfg.Heartbeat, m.topics.wake) {
			return
		}
	}
}

// claim takes the next task that waits, or whose holder let its claim end.
// Those that others are about to claim are skipped.
func (m *Member) claim(ctx context.Context) (t Task, ok bool, err error) {
	m.tasks.mu.Lock()
	kinds := make([]any, 0, len(m.tasks.kinds))
	for kind := range m.tasks.kinds {
		kinds = append(kinds, kind)
	}
	m.tasks.mu.Unlock()
	if len(kinds) == 0 {
		return t, false, nil
	}
	now := m.clock()
	list := make([]string, len(kinds))
	for i := range kinds {
		list[i] = fmt.Sprintf("$%d", i+3)
	}
	err = m.deps.DB.Tx(ctx, func(tx *database.Tx) error {
		ok = false
		err := tx.QueryRow(ctx, `UPDATE tasks SET state = '`+TaskRunning+`', holder = $1, attempts = attempts + 1, next_us = `+now+` + $2
			WHERE id = (SELECT id FROM tasks WHERE state <> '`+TaskDead+`' AND next_us <= `+now+` AND kind IN (`+strings.Join(list, ", ")+`)
				ORDER BY next_us, id LIMIT 1`+lockRow(tx.Engine(), "FOR UPDATE SKIP LOCKED")+`)
			RETURNING id, kind, subject, attempts`, append([]any{m.id, m.cfg.TaskTerm.Microseconds()}, kinds...)...).
			Scan(&t.ID, &t.Kind, &t.Subject, &t.Attempts)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		ok = err == nil
		return err
	})
	return t, ok, err
}

// do runs a task while its claim is renewed, and writes down how it ended.
func (m *Member) do(ctx context.Context, t Task) {
	m.tasks.mu.Lock()
	run := m.tasks.kinds[t.Kind]
	m.tasks.mu.Unlock()
	at, stop := context.WithCancel(ctx)
	defer stop()
	go m.every(at, m.cfg.TaskTerm/3, func(ctx context.Context) {
		n, err := m.deps.DB.Exec(ctx, `UPDATE tasks SET next_us = `+m.clock()+` + $1 WHERE id = $2 AND holder = $3 AND attempts = $4 AND state = '`+TaskRunning+`'`,
			m.cfg.TaskTerm.Microseconds(), t.ID, m.id, t.Attempts)
		if err == nil && n == 0 { // another process has it
			stop()
		}
	})
	err := guarded(at, run, t)
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if e := m.finish(end, t, err, ctx.Err() != nil); e != nil {
		m.deps.Log.Warn("how a task ended could not be written down; it is done again", "task", t.Kind, "subject", t.Subject, "error", e)
	}
}

// guarded makes a panic of a task its failure.
func guarded(ctx context.Context, run func(context.Context, Task) error, t Task) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("it panicked: %v", p)
		}
	}()
	return run(ctx, t)
}

// finish removes a task that was done. One that failed waits, ever longer, and
// is dead after MaxAttempts; one that the stop of the process ended is given
// back as it was.
func (m *Member) finish(ctx context.Context, t Task, failed error, stopped bool) error {
	const mine = ` WHERE id = $1 AND holder = $2 AND attempts = $3`
	if failed == nil {
		m.metrics.tasks.WithLabelValues(t.Kind, "done").Inc()
		_, err := m.deps.DB.Exec(ctx, `DELETE FROM tasks`+mine, t.ID, m.id, t.Attempts)
		return err
	}
	state, wait, attempts := TaskWaiting, backoff(t.Attempts), t.Attempts
	switch {
	case stopped:
		wait, attempts = 0, attempts-1
	case t.Attempts >= MaxAttempts:
		state = TaskDead
		m.metrics.tasks.WithLabelValues(t.Kind, "dead").Inc()
		m.deps.Log.Error("a task failed for good: `rind cluster tasks` shows it, `rind cluster retry` tries it again", "task", t.Kind, "subject", t.Subject, "id", t.ID, "error", failed)
	default:
		m.metrics.tasks.WithLabelValues(t.Kind, "failed").Inc()
		m.deps.Log.Warn("a task failed; it is tried again", "task", t.Kind, "subject", t.Subject, "in", wait.Round(time.Second), "error", failed)
	}
	text := database.Text(failed.Error())
	_, err := m.deps.DB.Exec(ctx, `UPDATE tasks SET state = $1, next_us = `+m.clock()+` + $2, error = $3, attempts = $4, holder = '' WHERE id = $5 AND holder = $6 AND attempts = $7`,
		state, wait.Microseconds(), text[:min(len(text), 1000)], attempts, t.ID, m.id, t.Attempts)
	return err
}

// backoff is how long a task waits after so many attempts: five seconds,
// doubled each time, an hour at most, and a random fifth more or less.
func backoff(attempts int64) time.Duration {
	d := min(5*time.Second<<min(attempts-1, 20), time.Hour)
	return d*4/5 + rand.N(d*2/5)
}

// Tasks lists the tasks that are not done: the dead ones first.
func (m *Member) Tasks(ctx context.Context, limit int) ([]Task, error) {
	rows, err := m.deps.DB.Query(ctx, `SELECT id, kind, subject, state, attempts, next_us, holder, error, created_us FROM tasks
		ORDER BY CASE state WHEN '`+TaskDead+`' THEN 0 WHEN '`+TaskRunning+`' THEN 1 ELSE 2 END, next_us, id LIMIT $1`, int64(limit))
	if err != nil {
		return nil, fmt.Errorf("listing tasks: %w", err)
	}
	defer rows.Close()
	out := []Task{}
	for rows.Next() {
		var t Task
		var next, created int64
		if err := rows.Scan(&t.ID, &t.Kind, &t.Subject, &t.State, &t.Attempts, &next, &t.Holder, &t.Error, &created); err != nil {
			return nil, fmt.Errorf("listing tasks: %w", err)
		}
		t.Next, t.Created = database.FromMicros(next), database.FromMicros(created)
		out = append(out, t)
	}
	return out, rows.Err()
}

// Retry has a task tried again at once, with all its attempts.
func (m *Member) Retry(ctx context.Context, id string) error {
	return m.deps.DB.Tx(ctx, func(tx *database.Tx) error {
		n, err := tx.Exec(ctx, `UPDATE tasks SET state = '`+TaskWaiting+`', attempts = 0, next_us = `+m.clock()+` WHERE id = $1 AND state <> '`+TaskRunning+`'`, database.Text(id))
		if err != nil {
			return fmt.Errorf("trying the task %.64q again: %w", id, err)
		}
		if n == 0 {
			return errs.New(errs.NotFound, "there is no task %.64q that waits or is dead: `rind cluster tasks` lists them", id)
		}
		return m.announce(ctx, tx, taskTopic)
	})
}
