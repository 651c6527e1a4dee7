package password

import (
	"context"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rind-project/rind/internal/base/errs"
)

func TestCheck(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ password, want string }{
		"ten":           {"abcdefghij", ""},
		"ten runes":     {"äöüäöüäöüä", ""},
		"nine":          {"abcdefghi", "fewer than 10"},
		"nine runes":    {"äöüäöüäöü", "fewer than 10"},
		"empty":         {"", "fewer than 10"},
		"1024":          {strings.Repeat("x", 1024), ""},
		"1025":          {strings.Repeat("x", 1025), "at most 1024"},
		"not UTF-8":     {"abcdefghij\xff", "UTF-8"},
		"the name":      {"Administrator", "name"},
		"name and year": {"administrator2026!", "name"},
		"with spaces":   {"correct horse battery", ""},
	} {
		err := Check("administrator", tc.password)
		if tc.want == "" && err != nil || tc.want != "" && (!errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("%s: got %v, want %q", name, err, tc.want)
		}
	}
}

func TestHashAndVerify(t *testing.T) {
	t.Parallel()
	h := New()
	ctx := t.Context()
	const right = "correct horse battery"
	encoded, err := h.Hash(ctx, right)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(encoded, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Errorf("the hash is %s", encoded)
	}
	again, err := h.Hash(ctx, right)
	if err != nil || again == encoded {
		t.Errorf("two hashes of one password are the same, or %v", err)
	}
	for name, tc := range map[string]struct {
		encoded, password string
		want              bool
	}{
		"right":             {encoded, right, true},
		"wrong":             {encoded, right + "x", false},
		"empty":             {encoded, "", false},
		"too long":          {encoded, strings.Repeat("x", 2000), false},
		"no user":           {"", right, false},
		"no user, no word":  {"", "", false},
		"the other's hash":  {again, right, true},
		"the zero password": {encode(make([]byte, salted), make([]byte, keySize)), "", false},
	} {
		if got, err := h.Verify(ctx, tc.encoded, tc.password); err != nil || got != tc.want {
			t.Errorf("%s: got %v, %v; want %v", name, got, err, tc.want)
		}
	}
	for _, damaged := range []string{"x", encoded[:len(encoded)-4], strings.Replace(encoded, "m=19456", "m=99999999", 1), "$argon2id$v=19$m=19456,t=2,p=1$$"} {
		if ok, err := h.Verify(ctx, damaged, right); ok || err == nil {
			t.Errorf("the damaged hash %q was taken", damaged)
		}
	}
}

// TestCostsWithoutUser checks that a name nobody has waits for a slot like any
// other, and so does the same work.
func TestCostsWithoutUser(t *testing.T) {
	t.Parallel()
	h := New()
	for range atOnce {
		if _, err := h.acquire(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, word := range map[string]string{"a word": "correct horse", "none": "", "too long": strings.Repeat("x", 2000)} {
		if _, err := h.Verify(ctx, "", word); err == nil {
			t.Errorf("%s: it was answered without any work", name)
		}
	}
}

// TestQueue fills both slots and checks how the others wait.
func TestQueue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := New()
		var releases []func()
		for range atOnce {
			release, err := h.acquire(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			releases = append(releases, release)
		}
		var mu sync.Mutex
		kinds := map[errs.Kind]int{}
		var wg sync.WaitGroup
		began := time.Now()
		for range maxWaiting + 10 {
			wg.Go(func() {
				_, err := h.acquire(t.Context())
				mu.Lock()
				defer mu.Unlock()
				kinds[errs.KindOf(err)]++
			})
		}
		synctest.Wait()
		mu.Lock()
		if kinds[errs.Unavailable] != 10 {
			t.Errorf("%v were refused at once, want 10 unavailable", kinds)
		}
		mu.Unlock()
		wg.Wait()
		if waited := time.Since(began); waited != maxWait || kinds[errs.Unavailable] != maxWaiting+10 {
			t.Errorf("after %v: %v; want all refused after %v", waited, kinds, maxWait)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := h.acquire(ctx); err == nil {
			t.Error("a caller who left got a slot")
		}
		releases[0]()
		if _, err := h.acquire(t.Context()); err != nil {
			t.Errorf("a free slot was refused: %v", err)
		}
	})
}
