package pki

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rind-project/rind/internal/base/errs"
)

func open(t *testing.T, dir string) *CA {
	t.Helper()
	ca, err := OpenCA(dir)
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

func TestOpenCAModes(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "a", "keys")
	ca := open(t, dir)
	if _, err := ca.ServerCertificate([]string{"rind.example"}); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 4 {
		t.Fatalf("want .lock, ca.crt, ca.key and a certificate, got %v, %v", entries, err)
	}
	for _, e := range entries {
		if info, err := e.Info(); err != nil || info.Mode() != 0o600 {
			t.Errorf("%s: mode %v, %v", e.Name(), info.Mode(), err)
		}
	}
	if info, _ := os.Stat(dir); info.Mode().Perm() != 0o700 {
		t.Errorf("folder: mode %v", info.Mode())
	}
}

func TestOpenCAClosesFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	open(t, dir)
	if info, _ := os.Stat(dir); info.Mode().Perm() != 0o700 {
		t.Errorf("folder: mode %v", info.Mode())
	}
}

func TestOpenCATwice(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	pins := make([]string, 8)
	var wg sync.WaitGroup
	for i := range pins {
		wg.Go(func() {
			if ca, err := OpenCA(dir); err == nil {
				pins[i] = ca.Pin()
			}
		})
	}
	wg.Wait()
	want := open(t, dir).Pin()
	if _, err := ParsePin(want); err != nil {
		t.Error(err)
	}
	for _, pin := range pins {
		if pin != want {
			t.Errorf("got %q, want %q", pin, want)
		}
	}
	if other := open(t, t.TempDir()).Pin(); other == want {
		t.Error("two authorities have one key")
	}
}

func TestPinIn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := PinIn(dir); !errs.Is(err, errs.NotFound) {
		t.Errorf("got %v", err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 0 {
		t.Errorf("looking made %v", entries)
	}
	want := open(t, dir).Pin()
	if got, err := PinIn(dir); err != nil || got != want {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
	if err := damage(filepath.Join(dir, caCertFile)); err != nil {
		t.Fatal(err)
	}
	if _, err := PinIn(dir); !errs.Is(err, errs.Invalid) {
		t.Errorf("got %v", err)
	}
}

func TestOpenCADamage(t *testing.T) {
	t.Parallel()
	other := t.TempDir()
	open(t, other)
	foreign, err := os.ReadFile(filepath.Join(other, caKeyFile))
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		damage func(key, cert string) error
		want   string // "" when it is repaired and the pin stays
	}{
		"certificate lost":    {func(_, cert string) error { return os.Remove(cert) }, ""},
		"key lost":            {func(key, _ string) error { return os.Remove(key) }, "restore the key from a backup"},
		"key open to others":  {func(key, _ string) error { return os.Chmod(key, 0o644) }, "chmod 600"},
		"key empty":           {func(key, _ string) error { return os.Truncate(key, 0) }, "holds no key"},
		"key damaged":         {func(key, _ string) error { return damage(key) }, "is damaged"},
		"key huge":            {func(key, _ string) error { return os.Truncate(key, maxFile+1) }, "more than 65536 bytes"},
		"certificate empty":   {func(_, cert string) error { return os.Truncate(cert, 0) }, "holds no certificate"},
		"certificate damaged": {func(_, cert string) error { return damage(cert) }, "is damaged"},
		"key of another":      {func(key, _ string) error { return os.WriteFile(key, foreign, 0o600) }, "do not belong together"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			pin := open(t, dir).Pin()
			if err := test.damage(filepath.Join(dir, caKeyFile), filepath.Join(dir, caCertFile)); err != nil {
				t.Fatal(err)
			}
			ca, err := OpenCA(dir)
			switch {
			case test.want == "" && (err != nil || ca.Pin() != pin):
				t.Errorf("not repaired: %v", err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

// damage changes the base64 in the middle of a PEM file.
func damage(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	lines := strings.Split(string(text), "\n")
	lines[1] = strings.Repeat("A", len(lines[1]))
	return os.WriteFile(file, []byte(strings.Join(lines, "\n")), 0o600)
}

func TestOpenCAClock(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	open(t, dir)
	for want, now := range map[string]time.Time{
		"not valid yet: this machine's clock says 1970-01-01T00:00:00Z": time.Unix(0, 0),
		"not valid any more": time.Now().Add(rootLife + time.Hour),
	} {
		_, err := openCA(dir, func() time.Time { return now })
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

func TestFolderNotWritable(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := asNobody(func() error { _, err := OpenCA(filepath.Join(dir, "keys")); return err }); !errs.Is(err, errs.Forbidden) || !strings.Contains(err.Error(), "chown -R") {
		t.Errorf("a folder of another: %v", err)
	}
	if _, err := OpenCA(filepath.Join(file, "keys")); !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), "is a file") {
		t.Errorf("below a file: %v", err)
	}
}

// asNobody calls f with an unprivileged file system identity, which Linux keeps
// for each thread; the thread ends with the goroutine.
func asNobody(f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		if os.Geteuid() == 0 {
			if err := unix.Setfsuid(65534); err != nil {
				done <- err
				return
			}
		}
		done <- f()
	}()
	return <-done
}
