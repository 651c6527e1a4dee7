package ingest

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/rind-project/rind/internal/base/database"
)

// TestSlowCommit shows that the deadline for the body does not end a commit
// that takes longer.
func TestSlowCommit(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		const deadline = 300 * time.Millisecond
		server := httptest.NewServer(r.instance(Config{BodyTimeout: deadline}).Handler())
		defer server.Close()
		// Another writer holds the tap's row for longer than the deadline.
		held, done := make(chan struct{}), make(chan error, 1)
		go func() {
			done <- r.db.Tx(t.Context(), func(tx *database.Tx) error {
				_, err := tx.Exec(t.Context(), "UPDATE taps SET reports = reports WHERE name = 'a'")
				close(held)
				time.Sleep(3 * deadline)
				return err
			})
		}()
		<-held
		q, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		body := encode(t, r.report("a", 1))
		q.Header = request(r.token, nil).Header
		q.Body, q.ContentLength = io.NopCloser(&once{b: body}), int64(len(body))
		resp, err := server.Client().Do(q)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Errorf("a slow commit is answered %d", resp.StatusCode)
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	})
}

// once is a body that is read once.
type once struct{ b []byte }

func (o *once) Read(p []byte) (int, error) {
	if len(o.b) == 0 {
		return 0, io.EOF
	}
	n := copy(p, o.b)
	o.b = o.b[n:]
	return n, nil
}
