package batch

// latest are the newest keys, between one and two times mostLatest of them.
type latest struct{ now, before map[string]struct{} }

const mostLatest = 1 << 17

func (l *latest) has(key string) bool {
	_, now := l.now[key]
	_, before := l.before[key]
	return now || before
}

func (l *latest) put(key string) {
	if len(l.now) >= mostLatest || l.now == nil {
		l.now, l.before = map[string]struct{}{}, l.now
	}
	l.now[key] = struct{}{}
}
