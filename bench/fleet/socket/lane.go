package socket

import "sync"

// maxLane is how many messages wait in a lane before those who read wait too.
const maxLane = 4096

// lane handles the messages of many sockets one after the other, in one
// goroutine that is there while there are some. What a peel does with a job
// takes a deep stack, which each of ten thousand reading goroutines would else
// grow for itself, and keep until the next collection.
type lane struct {
	mu      sync.Mutex
	room    sync.Cond
	waiting []delivery
	running bool
}

type delivery struct {
	fn      func(string, []byte)
	subject string
	data    []byte
}

func newLane() *lane {
	l := &lane{}
	l.room.L = &l.mu
	return l
}

// put adds a message behind those that wait.
func (l *lane) put(d delivery) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.waiting) >= maxLane {
		l.room.Wait()
	}
	l.waiting = append(l.waiting, d)
	if !l.running {
		l.running = true
		go l.run()
	}
}

func (l *lane) run() {
	var done []delivery
	for {
		l.mu.Lock()
		clear(done)
		done, l.waiting = l.waiting, done[:0]
		if len(done) == 0 {
			l.running, l.waiting = false, nil
			l.mu.Unlock()
			return
		}
		l.room.Broadcast()
		l.mu.Unlock()
		for _, d := range done {
			d.fn(d.subject, d.data)
		}
	}
}
