package store

import (
	"container/list"
	"context"
	"sync"
	"time"
)

// chunk is a chunk with its hash.
type chunk struct {
	data []byte
	sum  string
}

// cache keeps the chunks that were asked for last: thousands of hosts ask for
// the same ones at the same time, and each is read once.
type cache struct {
	mu    sync.Mutex
	most  int
	bytes int
	order *list.List // of *entry, the newest in front
	by    map[string]*list.Element
	going map[string]*reading
}

type entry struct {
	key string
	chunk
}

// reading is a chunk that somebody reads.
type reading struct {
	done chan struct{}
	c    chunk
	err  error
}

func newCache(most int) *cache {
	return &cache{most: most, order: list.New(), by: map[string]*list.Element{}, going: map[string]*reading{}}
}

// get returns a chunk, and reads it when it is not here. Whoever asks for one
// that is being read waits for that.
func (c *cache) get(ctx context.Context, key string, read func() (chunk, error)) (chunk, error) {
	c.mu.Lock()
	if e := c.by[key]; e != nil {
		c.order.MoveToFront(e)
		c.mu.Unlock()
		return e.Value.(*entry).chunk, nil
	}
	if r := c.going[key]; r != nil {
		c.mu.Unlock()
		select {
		case <-r.done:
			return r.c, r.err
		case <-ctx.Done():
			return chunk{}, ctx.Err()
		}
	}
	r := &reading{done: make(chan struct{})}
	c.going[key] = r
	c.mu.Unlock()

	r.c, r.err = read()
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.going, key)
	if r.err == nil {
		c.keep(key, r.c)
	}
	close(r.done)
	return r.c, r.err
}

// keep adds a chunk. mu is held.
func (c *cache) keep(key string, v chunk) {
	c.by[key] = c.order.PushFront(&entry{key, v})
	c.bytes += len(v.data)
	for c.bytes > c.most && c.order.Len() > 1 {
		last := c.order.Back()
		e := c.order.Remove(last).(*entry)
		delete(c.by, e.key)
		c.bytes -= len(e.data)
	}
}

// How long, and of how many files, what is known is taken for true.
const (
	knownFor = 5 * time.Second
	maxKnown = 10_000
)

// known remembers the rows of files that are asked for, so that not every chunk
// asks the database.
type known struct {
	mu sync.Mutex
	by map[knownKey]knownFile
}

type knownKey struct {
	owner Owner
	sum   string
}

type knownFile struct {
	*file
	until time.Time
}

func newKnown() *known { return &known{by: map[knownKey]knownFile{}} }

// get returns the row of a complete file.
func (k *known) get(ctx context.Context, s *Store, owner Owner, sum string) (*file, error) {
	key, now := knownKey{owner, sum}, s.deps.Now()
	k.mu.Lock()
	f, ok := k.by[key]
	k.mu.Unlock()
	if ok && now.Before(f.until) {
		return f.file, nil
	}
	row, err := s.get(ctx, owner, sum)
	if err != nil {
		return nil, err
	}
	if !row.complete {
		return nil, gone(sum)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.by) >= maxKnown {
		clear(k.by)
	}
	k.by[key] = knownFile{row, now.Add(knownFor)}
	return row, nil
}

func (k *known) forget(owner Owner, sum string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.by, knownKey{owner, sum})
}
