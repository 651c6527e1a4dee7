package connection

import (
	"encoding/base64"
	"fmt"
	"log/slog"
	"testing"

	"github.com/nats-io/nats.go"
)

// permission looks like the JWT of the peel web.
func permission() string {
	part := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	return part(`{}`) + "." + part(`{"name":"web","nats":{"issuer_account":"A"}}`) + "." + part("signature")
}

// TestListOfWhoHasNotSpokenYet has a server list a connection while it has not
// shown its permission yet, as during a storm. The event that comes before the
// list is read, or after it, says whose it is, and no list takes that back.
func TestListOfWhoHasNotSpokenYet(t *testing.T) {
	t.Parallel()
	event := &nats.Msg{Data: fmt.Appendf(nil, `{"server":{"id":"s1","name":"one"},"client":{"id":7,"jwt":%q}}`, permission())}
	mute := page{Server: broker{ID: "s1"}}
	mute.Data.Clients = []client{{CID: 7}}
	for name, steps := range map[string][]func(*Watcher){
		"the event first": {func(w *Watcher) { w.OnConnect(event) }, func(w *Watcher) { w.learn("s1", mute) }},
		"the list first":  {func(w *Watcher) { w.learn("s1", mute) }, func(w *Watcher) { w.OnConnect(event) }},
	} {
		w := New(Deps{Log: slog.New(slog.DiscardHandler), Connected: func(Entry) {}})
		for _, step := range steps {
			step(w)
		}
		if peel, known := w.owners.of(ID{"s1", 7}); peel != "web" || !known {
			t.Errorf("%s: the connection is of %q", name, peel)
		}
	}
	w := New(Deps{})
	w.learn("s1", mute)
	if _, known := w.owners.of(ID{"s1", 7}); known {
		t.Error("whose a connection is that has not spoken is not asked again")
	}
	spoken := mute
	spoken.Data.Clients = []client{{CID: 7, JWT: permission()}}
	w.learn("s1", spoken)
	if peel, _ := w.owners.of(ID{"s1", 7}); peel != "web" {
		t.Errorf("once it has spoken it is of %q", peel)
	}
}
