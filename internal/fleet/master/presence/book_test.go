package presence_test

import (
	"testing"
	"time"

	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/master/connection"
	"github.com/rind-project/rind/internal/fleet/master/presence"
)

// conn is a connection of the peel web.
func conn(server string, cid uint64) connection.Entry {
	return connection.Entry{ID: connection.ID{Server: server, CID: cid}, Peel: "web", Address: "192.0.2.1"}
}

// where is what a book says of the peel web.
func where(b *presence.Book, now time.Time) fleet.Peel {
	p := fleet.Peel{ID: "web"}
	b.Fill(&p, now)
	return p
}

func TestConnections(t *testing.T) {
	t.Parallel()
	now := time.Now()
	a, b := conn("s1", 1), conn("s2", 1)
	after := now.Add(time.Minute)
	tests := map[string]struct {
		do      func(*presence.Book) (changed bool) // of the last step
		changed bool
		want    fleet.Presence
	}{
		"nothing":  {func(*presence.Book) bool { return false }, false, fleet.Never},
		"it comes": {func(k *presence.Book) bool { return k.Connected(a, now) }, true, fleet.Connected},
		"it comes to a second server": {func(k *presence.Book) bool {
			k.Connected(a, now)
			return k.Connected(b, now)
		}, false, fleet.Connected},
		"one of two ends": {func(k *presence.Book) bool {
			k.Connected(a, now)
			k.Connected(b, now)
			return k.Disconnected(a, now)
		}, false, fleet.Connected},
		"the only one ends": {func(k *presence.Book) bool {
			k.Connected(a, now)
			return k.Disconnected(a, now)
		}, true, fleet.Away},
		"an end is told twice": {func(k *presence.Book) bool {
			k.Connected(a, now)
			k.Disconnected(a, now)
			return k.Disconnected(a, now)
		}, false, fleet.Away},
		"a list has what no event told": {func(k *presence.Book) bool {
			return k.Listed("s1", []connection.Entry{a}, now)
		}, true, fleet.Connected},
		"a list has not what ended untold": {func(k *presence.Book) bool {
			k.Connected(a, now)
			return k.Listed("s1", nil, after)
		}, true, fleet.Away},
		"a list of another server": {func(k *presence.Book) bool {
			k.Connected(a, now)
			return k.Listed("s2", nil, after)
		}, false, fleet.Connected},
		"a list that is older than the connection": {func(k *presence.Book) bool {
			k.Connected(a, after)
			return k.Listed("s1", nil, now)
		}, false, fleet.Connected},
		"a list that is older than its end": {func(k *presence.Book) bool {
			k.Connected(a, now)
			k.Disconnected(a, after)
			return k.Listed("s1", []connection.Entry{a}, now)
		}, false, fleet.Away},
		"its server dies": {func(k *presence.Book) bool {
			k.Connected(a, now)
			return k.Gone("s1")
		}, true, fleet.Away},
		"another server dies": {func(k *presence.Book) bool {
			k.Connected(a, now)
			return k.Gone("s2")
		}, false, fleet.Connected},
		"it is forgotten": {func(k *presence.Book) bool {
			k.Connected(a, now)
			k.Forget("web")
			return k.Gone("s1")
		}, false, fleet.Never},
		"a heartbeat alone": {func(k *presence.Book) bool { return k.Beat("web", "1.2", now) }, true, fleet.Away},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := presence.New(true)
			if changed := tt.do(k); changed != tt.changed {
				t.Errorf("something has changed: %v, want %v", changed, tt.changed)
			}
			if p := where(k, after); p.Presence != tt.want {
				t.Errorf("it is %s, want %s", p.Presence, tt.want)
			}
			there := tt.want == fleet.Connected
			if n, servers := k.Count(after), k.Servers(); (n == 1) != there || (len(servers) > 0) != there {
				t.Errorf("%d are connected, to %v", n, servers)
			}
		})
	}
}

// TestHeartbeats: where nobody tells of connections, a peel is there as long as
// two heartbeats take.
func TestHeartbeats(t *testing.T) {
	t.Parallel()
	b := presence.New(false)
	now := time.Now()
	for n, step := range []struct {
		after   time.Duration
		version string
		news    bool
	}{{0, "1.2", true}, {30 * time.Second, "1.2", false}, {time.Minute, "1.3", true}, {10 * time.Minute, "1.3", true}} {
		if news := b.Beat("web", step.version, now.Add(step.after)); news != step.news {
			t.Errorf("heartbeat %d says something new: %v", n, news)
		}
	}
	last := now.Add(10 * time.Minute)
	if p := where(b, last.Add(time.Minute)); p.Presence != fleet.Connected || p.Version != "1.3" || !p.LastSeen.Equal(last) || b.Count(last.Add(time.Minute)) != 1 {
		t.Errorf("a minute after: %+v", p)
	}
	if p := where(b, last.Add(2*time.Minute)); p.Presence != fleet.Away || !p.Since.Equal(last) || b.Count(last.Add(2*time.Minute)) != 0 {
		t.Errorf("two minutes after: %+v", p)
	}
}
