package natsd

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rind-project/rind/internal/base/errs"
)

func TestRotatedKeysOutliveARestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	now := time.Now()
	a, keys := open(t, dir, now)
	first := public(keys.Scoped[0])
	for range 2 {
		if _, err := a.rotate(); err != nil {
			t.Fatal(err)
		}
		if err := a.adopt(); err != nil {
			t.Fatal(err)
		}
	}
	setMasterKey(a.claims, 3)
	if err := a.save(); err != nil {
		t.Fatal(err)
	}
	last := public(keys.Scoped[len(keys.Scoped)-1])
	if last == first || len(a.claims.SigningKeys) != 3 {
		t.Fatalf("%d scopes", len(a.claims.SigningKeys))
	}
	a, keys = open(t, dir, now.Add(time.Hour))
	if got := public(keys.Scoped[len(keys.Scoped)-1]); got != last || len(a.claims.SigningKeys) != 3 || masterKey(a.claims) != 3 {
		t.Errorf("after a restart %s signs, want %s; %d scopes, master key %d", got, last, len(a.claims.SigningKeys), masterKey(a.claims))
	}
	// A day later the two others have signed nothing that lives.
	a, keys = open(t, dir, now.Add(26*time.Hour))
	if len(a.claims.SigningKeys) != 1 || len(keys.Scoped) != 1 || public(keys.Scoped[0]) != last {
		t.Errorf("%d scopes, %d keys", len(a.claims.SigningKeys), len(keys.Scoped))
	}
	files, err := filepath.Glob(filepath.Join(dir, "scoped-*"))
	if err != nil || len(files) != 1 {
		t.Errorf("the key files are %v (%v)", files, err)
	}
	// Without the files of what was rotated to, the account's key makes it again.
	if err := os.Remove(files[0]); err != nil {
		t.Fatal(err)
	}
	_, keys = open(t, dir, now.Add(27*time.Hour))
	if got := public(keys.Scoped[len(keys.Scoped)-1]); got != last {
		t.Errorf("%s signs, want %s", got, last)
	}
}

func TestRotationsAreBounded(t *testing.T) {
	t.Parallel()
	a, _ := open(t, t.TempDir(), time.Now())
	for n := 1; ; n++ {
		_, err := a.rotate()
		if err == nil {
			if n >= maxScoped {
				t.Fatalf("%d rotations in a moment", n)
			}
			continue
		}
		if !errs.Is(err, errs.Conflict) || n != maxScoped {
			t.Errorf("rotation %d: %v", n, err)
		}
		return
	}
}

func TestEachServerMakesTheSameMasterKey(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, keys := open(t, dir, time.Now())
	_, again := open(t, dir, time.Now())
	seen := map[string]bool{}
	for n := range 4 {
		a, err := keys.masterAt(n)
		if err != nil {
			t.Fatal(err)
		}
		b, err := again.masterAt(n)
		if err != nil || !bytes.Equal(a, b) || seen[string(a)] {
			t.Errorf("key %d: the same on both is %v, used before is %v (%v)", n, bytes.Equal(a, b), seen[string(a)], err)
		}
		seen[string(a)] = true
	}
}

func TestASuspensionIsMerged(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	now := time.Now()
	a, _ := open(t, dir, now)
	b, _ := open(t, dir, now)
	a.unrevokeAt("UA", now.Add(-time.Hour))
	b.unrevokeAt("UA", now.Add(-time.Hour))
	if !a.suspend("UA") || a.suspend("UA") {
		t.Error("suspend does not say what is new")
	}
	for _, merged := range []int64{mergeClaims(a.claims, b.claims).Revocations["UA"], mergeClaims(b.claims, a.claims).Revocations["UA"]} {
		if merged != now.Unix() {
			t.Errorf("merged with a server that knows of none, permissions are refused until %s", time.Unix(merged, 0))
		}
	}
	// A revocation goes further, and stays.
	b.revoke("UA")
	if b.suspend("UA") {
		t.Error("a suspension replaced a revocation")
	}
	if out := mergeClaims(a.claims, b.claims); out.Revocations["UA"] <= now.Unix() {
		t.Error("a suspension undid a revocation")
	}
}

// TestWordsOfOneSecond: what is said about a key counts in the order in which
// it is said, on whichever server that knows of what was said before.
func TestWordsOfOneSecond(t *testing.T) {
	t.Parallel()
	now := time.Now()
	a, _ := open(t, t.TempDir(), now)
	b, _ := open(t, t.TempDir(), now)
	exchange := func() (refused bool) {
		t.Helper()
		x, y := mergeClaims(a.claims, b.claims), mergeClaims(b.claims, a.claims)
		if x.Revocations["UA"] != y.Revocations["UA"] || said(x, "UA") != said(y, "UA") {
			t.Errorf("the servers do not settle on one: %v and %v", x.Revocations, y.Revocations)
		}
		a.claims, b.claims = x, y
		return x.Revocations["UA"] > now.Unix()
	}
	a.revoke("UA")
	for n, word := range []struct {
		say     func() bool
		refused bool
	}{
		{func() bool { return b.unrevoke("UA") }, false},
		{func() bool { return a.revoke("UA") }, true},
		{func() bool { return a.unrevoke("UA") }, false},
		{func() bool { return b.suspend("UA") }, false},
		{func() bool { return b.revoke("UA") }, true},
	} {
		exchange()
		if !word.say() {
			t.Errorf("word %d is nothing new", n)
		}
		if refused := exchange(); refused != word.refused {
			t.Errorf("after word %d the key is refused for good: %v", n, refused)
		}
	}
	if a.claims.Revocations["UA"] > now.Add(MaxPeelLife+time.Minute).Unix() {
		t.Error("words of one second are far from one another")
	}
	// Two that know nothing of one another: the revocation stands, and of two
	// lesser words the one that refuses more.
	a.unrevoke("UA")
	exchange()
	a.suspend("UA")
	b.revoke("UA")
	if !exchange() {
		t.Error("a suspension of the same second undid a revocation")
	}
	a.unrevoke("UA")
	b.unrevoke("UA")
	a.claims.RevokeAt("UA", now)
	if exchange(); a.claims.Revocations["UA"] != now.Unix() {
		t.Error("of two words of one moment the lesser counts")
	}
}

// unrevokeAt is what a revocation leaves that was taken back at a moment.
func (a *account) unrevokeAt(pub string, at time.Time) {
	a.claims.RevokeAt(pub, at)
	setTaken(a.claims, pub, at.Unix())
}
