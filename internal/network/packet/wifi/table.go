package wifi

// table is a bounded map whose rows are kept in one slab from report to
// report.
type table[K comparable, V any] struct {
	at   map[K]int32
	rows []V
	max  int
}

func newTable[K comparable, V any](limit int) table[K, V] {
	return table[K, V]{at: map[K]int32{}, max: limit}
}

// get returns the row of a key, or nil.
func (t *table[K, V]) get(k K) *V {
	if i, ok := t.at[k]; ok {
		return &t.rows[i]
	}
	return nil
}

// put returns the row of a key, made when there is none. It is nil when the
// table is full. The pointer holds until the next put.
func (t *table[K, V]) put(k K) (row *V, made bool) {
	if i, ok := t.at[k]; ok {
		return &t.rows[i], false
	}
	if len(t.rows) >= t.max {
		return nil, false
	}
	t.at[k] = int32(len(t.rows))
	var zero V
	t.rows = append(t.rows, zero)
	return &t.rows[len(t.rows)-1], true
}

// clear empties the table; a slab that was less than a quarter used is given
// back, so that one odd report is not paid for until the end.
func (t *table[K, V]) clear() {
	if cap(t.rows) > 256 && len(t.rows) < cap(t.rows)/4 {
		t.at, t.rows = map[K]int32{}, nil
		return
	}
	clear(t.at)
	clear(t.rows)
	t.rows = t.rows[:0]
}
