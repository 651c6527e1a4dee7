package cli_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rind-project/rind/internal/api/apitest"
	"github.com/rind-project/rind/internal/fleet/bus"
	"github.com/rind-project/rind/internal/fleet/bus/archive"
)

func TestBackup(t *testing.T) {
	t.Parallel()
	s := apitest.Start(t, nil)
	term, dir := on(t, s), t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	text := term.transcript(t, []string{"backup", file("a")}, []string{"backup", file("a")}, []string{"backup", file("b"), "--with-keys"}, []string{"backup"})
	s.Backups.Gone = bus.Facts
	text += term.transcript(t, []string{"backup", file("c")})
	s.Backups.Gone, s.Backups.Busy = "", true
	text += term.transcript(t, []string{"backup", file("d")})
	s.Backups.Busy, s.Backups.Cut = false, true
	text += term.transcript(t, []string{"backup", file("e")}, []string{"audit", "list"})
	golden(t, "backup", strings.ReplaceAll(text, dir+"/", ""))
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 3 {
		t.Errorf("left are %v (%v)", entries, err)
	}
	for _, name := range []string{"a", "b", "c"} {
		b, err := os.ReadFile(file(name))
		if err != nil {
			t.Fatal(err)
		}
		_, trailer, err := archive.Check(bytes.NewReader(b))
		_, keys := trailer.Part(archive.KindKeys, "keys")
		if err != nil || keys != (name == "b") {
			t.Errorf("%s: %v %+v", name, err, trailer)
		}
	}
}

func TestBackupToAPipe(t *testing.T) {
	t.Parallel()
	code, out, stderr := on(t, apitest.Start(t, nil)).run(t, "backup", "-")
	if _, trailer, err := archive.Check(strings.NewReader(out)); code != 0 || err != nil || len(trailer.Parts) != 3 || !strings.Contains(stderr, "pg_dump") {
		t.Errorf("%d %v %q", code, err, stderr)
	}
}
