package archtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/rind-project/rind/"

// pkg is what `go list -json` says of a package.
type pkg struct {
	ImportPath   string
	Doc          string
	GoFiles      []string
	Imports      []string
	TestImports  []string
	XTestImports []string
	Deps         []string
}

func list(t *testing.T, args ...string) []pkg {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"list", "-json=ImportPath,Doc,GoFiles,Imports,TestImports,XTestImports,Deps"}, args...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	var all []pkg
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

// under reports whether the import path is the room or lies below it; both are
// relative to the module.
func under(path, room string) bool {
	path, ok := strings.CutPrefix(path, module)
	return ok && (path == room || strings.HasPrefix(path, room+"/"))
}

// A law says that no package of the room imports, even through others, what
// stands in never; a name without a dot in its first element is a room of ours.
type law struct {
	room  string
	never []string
	why   string
}

var laws = []law{
	{"internal/base", []string{"internal/fleet", "internal/network", "internal/access", "internal/inventory", "internal/api", "internal/web", "internal/cli", "internal/app"}, "base knows no product words"},
	{"internal/access", []string{"internal/fleet", "internal/network", "internal/api", "internal/web", "internal/cli", "internal/app"}, "access is below the planes' edges"},
	{"internal/fleet", []string{"internal/network", "internal/api", "internal/web", "internal/cli", "internal/app", "internal/access"}, "the planes never import one another, nor an edge"},
	{"internal/network", []string{"internal/fleet", "internal/api", "internal/web", "internal/cli", "internal/app", "internal/access"}, "the planes never import one another, nor an edge"},
	{"internal/inventory", []string{"internal/api", "internal/web", "internal/cli", "internal/app", "internal/access"}, "the planes meet below the edges"},
	{"internal/api", []string{"internal/web", "internal/cli", "internal/app"}, "the edges do not build on one another"},
	{"internal/web", []string{"internal/api", "internal/cli", "internal/app"}, "the edges do not build on one another"},
	{"internal/cli", []string{"internal/web", "internal/app"}, "the edges do not build on one another"},
	{"cmd/rind", []string{"internal/fleet/job/function/local"}, "a server and its command know what functions are called, not what they do to a host"},
	{"cmd/rind-peel", []string{"github.com/nats-io/nats-server", "github.com/jackc/pgx", "modernc.org/sqlite", "database/sql", "internal/base/database", "internal/network", "github.com/gopacket", "internal/web", "internal/api"}, "a peel links no server, no database and no packet library"},
	{"cmd/rind-tap", []string{"github.com/nats-io", "github.com/jackc/pgx", "modernc.org/sqlite", "database/sql", "internal/base/database", "internal/fleet", "internal/web", "internal/api", "internal/network/store", "internal/network/ingest"}, "a tap links no NATS, no SQL and no template engine"},
	{"cmd/rind-watchdog", []string{"github.com/nats-io", "github.com/jackc/pgx", "modernc.org/sqlite", "internal/network", "internal/web", "internal/api"}, "a watchdog stays small"},
}

func (l law) broken(dep string) bool {
	for _, n := range l.never {
		if strings.HasPrefix(n, "internal/") || strings.HasPrefix(n, "cmd/") {
			if under(dep, n) {
				return true
			}
		} else if dep == n || strings.HasPrefix(dep, n+"/") || strings.HasPrefix(dep, n+".") {
			return true
		}
	}
	return false
}

// later are rooms of the design that do not exist yet.
var later = map[string]bool{"cmd/rind-watchdog": true}

func TestWhoMayImportWhom(t *testing.T) {
	t.Parallel()
	all := list(t, module+"...")
	for _, l := range laws {
		for _, p := range all {
			if !under(p.ImportPath, l.room) {
				continue
			}
			for _, dep := range p.Deps {
				if l.broken(dep) {
					t.Errorf("%s links %s: %s", p.ImportPath, dep, l.why)
				}
			}
		}
		for _, room := range append(l.never, l.room) {
			if !strings.HasPrefix(room, "internal/") && !strings.HasPrefix(room, "cmd/") {
				continue // a library's
			}
			found := slices.ContainsFunc(all, func(p pkg) bool { return under(p.ImportPath, room) })
			if found == later[room] {
				t.Errorf("the room %s of a law: it exists is %v, it is to come is %v", room, found, later[room])
			}
		}
	}
}

// TestRoomsOfTheMaster: each knows one thing, and the master alone puts them
// together. What a connection is, some of them have to know.
func TestRoomsOfTheMaster(t *testing.T) {
	t.Parallel()
	const master = "internal/fleet/master"
	rooms := 0
	for _, p := range list(t, module+master+"/...") {
		if p.ImportPath == module+master {
			continue
		}
		rooms++
		for _, imp := range p.Imports {
			if under(imp, master) && imp != module+master+"/connection" {
				t.Errorf("%s imports %s: the master puts its rooms together", p.ImportPath, imp)
			}
		}
	}
	if rooms == 0 {
		t.Error("the master has no rooms")
	}
}

// TestCommandLineAsksTheAPI: the command line knows the rows of the stores by
// their types, and never opens a database itself.
func TestCommandLineAsksTheAPI(t *testing.T) {
	t.Parallel()
	for _, p := range list(t, module+"internal/cli/...") {
		for _, imp := range p.Imports {
			if under(imp, "internal/base/database") || imp == "database/sql" {
				t.Errorf("%s imports %s", p.ImportPath, imp)
			}
		}
	}
}

// TestOnlyImporters checks libraries that one room alone may import directly.
func TestOnlyImporters(t *testing.T) {
	t.Parallel()
	only := map[string][]string{
		"github.com/nats-io/nats-server/v2":        {"internal/fleet/natsd"},
		"modernc.org/sqlite":                       {"internal/base/database/sqlite"},
		"github.com/jackc/pgx/v5":                  {"internal/base/database/postgres", "bench/node"},
		module + "internal/base/database/sqlite":   {"internal/app/server", "internal/base/database/databasetest", "bench/node"},
		module + "internal/base/database/postgres": {"internal/app/server", "internal/base/database/databasetest", "bench/node"},
	}
	for _, p := range list(t, module+"...") {
		for _, imp := range p.Imports {
			for restricted, rooms := range only {
				if imp != restricted && !strings.HasPrefix(imp, restricted+"/") {
					continue
				}
				ok := under(p.ImportPath, strings.TrimPrefix(restricted, module))
				for _, room := range rooms {
					ok = ok || under(p.ImportPath, room)
				}
				if !ok {
					t.Errorf("%s imports %s, which only %s may", p.ImportPath, imp, strings.Join(rooms, " and "))
				}
			}
		}
	}
}

// TestMainsAreShort keeps the programs themselves a few lines, and each
// composition for one of them.
func TestMainsAreShort(t *testing.T) {
	t.Parallel()
	importers := map[string][]string{}
	for _, p := range list(t, module+"cmd/...") {
		main, err := os.ReadFile(filepath.Join("..", "..", strings.TrimPrefix(p.ImportPath, module), "main.go"))
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(main), "\n"); n > 30 || len(p.GoFiles) != 1 {
			t.Errorf("%s has %d files, and %d lines in main.go", p.ImportPath, len(p.GoFiles), n)
		}
		for _, imp := range p.Imports {
			if under(imp, "internal/app") {
				importers[imp] = append(importers[imp], p.ImportPath)
			}
		}
	}
	for app, by := range importers {
		if len(by) != 1 {
			t.Errorf("%s is composed for %s", app, strings.Join(by, " and "))
		}
	}
}

// TestWordsAreStandardLibraryOnly keeps the words of the planes free of rooms.
func TestWordsAreStandardLibraryOnly(t *testing.T) {
	t.Parallel()
	for _, p := range list(t, module+"internal/fleet", module+"internal/network", module+"internal/base/errs") {
		for _, dep := range p.Deps {
			if first, _, _ := strings.Cut(dep, "/"); strings.Contains(first, ".") {
				t.Errorf("%s imports %s: words import the standard library only", p.ImportPath, dep)
			}
		}
	}
}

func TestEveryPackageIsDocumented(t *testing.T) {
	t.Parallel()
	for _, p := range list(t, module+"...") {
		if p.Doc == "" && len(p.GoFiles) > 0 {
			t.Errorf("%s has no package comment", p.ImportPath)
		}
	}
}

// TestRoomsOfTestsStayInTests keeps test helpers and oracles out of binaries.
func TestRoomsOfTestsStayInTests(t *testing.T) {
	t.Parallel()
	for _, p := range list(t, "-deps", module+"cmd/...") {
		for _, dep := range p.Imports {
			switch {
			case dep == "testing", strings.HasPrefix(dep, "github.com/gopacket/"), strings.HasPrefix(dep, "github.com/miekg/dns"), strings.HasPrefix(dep, "github.com/chromedp/"):
				if strings.HasPrefix(p.ImportPath, module) {
					t.Errorf("%s imports %s outside of a test", p.ImportPath, dep)
				}
			}
		}
	}
}
