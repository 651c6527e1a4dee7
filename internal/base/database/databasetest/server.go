package databasetest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/base/database/postgres"
)

// server is the PostgreSQL of this test process.
type server struct {
	url   string
	admin *database.DB
	// held keeps the pipe from being collected, and so closed, before the
	// process ends.
	held *os.File
}

// theServer starts the server at the first call. It returns nil when the
// machine has no PostgreSQL.
var theServer = sync.OnceValues(startServer)

// startTimeout bounds initdb and the first connection.
const startTimeout = 60 * time.Second

// keeper is the shell that makes the cluster, runs the server, and waits for
// the end of its input, which the test process holds open and the kernel
// closes when that process ends, also by kill -9 or a panic. It then ends
// the server and removes the folder. $1 is the folder with initdb and
// postgres, $2 the folder to work in.
const keeper = `
cd "$2" || exit 1
trap 'rm -rf "$2"' EXIT
trap '' HUP INT TERM
"$1/initdb" -D data -U rind --no-sync --auth=trust --encoding=UTF8 --locale=C >log 2>&1 </dev/null || { touch failed; cat >/dev/null; exit 1; }
"$1/postgres" -D data -k "$2" -c listen_addresses= \
	-c fsync=off -c synchronous_commit=off -c full_page_writes=off \
	-c wal_level=minimal -c max_wal_senders=0 -c autovacuum=off -c jit=off \
	-c shared_buffers=32MB -c dynamic_shared_memory_type=mmap -c max_connections=400 >>log 2>&1 </dev/null &
server=$!
cat >/dev/null
kill -QUIT $server
wait $server
`

// startServer starts the keeper and connects.
func startServer() (*server, error) {
	bin := binaries("/usr/lib/postgresql", os.Getenv("PATH"))
	if bin == "" {
		return nil, nil
	}
	dir, owner, err := workFolder()
	if err != nil {
		return nil, err
	}
	held, release, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(context.Background(), "/bin/sh", "-c", keeper, "sh", bin, dir)
	cmd.Stdin = held
	cmd.Env = []string{"PATH=/usr/bin:/bin", "LC_ALL=C", "TMPDIR=" + dir}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Credential: owner}
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir), held.Close(), release.Close())
	}
	_ = held.Close() // the keeper has its copy
	u := url.URL{Scheme: "postgres", User: url.User("rind"), Path: "/postgres", RawQuery: url.Values{"host": {dir}}.Encode()}
	admin, err := connect(u.String(), dir)
	if err != nil {
		return nil, errors.Join(err, release.Close())
	}
	return &server{url: u.String(), admin: admin, held: release}, nil
}

// connect tries until the server answers.
func connect(u, dir string) (*database.DB, error) {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	for {
		_, failed := os.Stat(filepath.Join(dir, "failed"))
		if _, err := os.Stat(filepath.Join(dir, ".s.PGSQL.5432")); err == nil {
			if db, err := postgres.Open(ctx, u); err == nil {
				return db, nil
			}
		}
		if failed == nil || ctx.Err() != nil {
			log, err := os.ReadFile(filepath.Join(dir, "log"))
			return nil, errors.Join(fmt.Errorf("it does not answer; its log:\n%s", log), ctx.Err(), err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// binaries returns the folder that holds initdb and postgres, or "": the
// newest version below root, where Debian has them, else one of the path.
func binaries(root, path string) string {
	versions, _ := filepath.Glob(filepath.Join(root, "*", "bin"))
	slices.SortFunc(versions, func(a, b string) int { return version(b) - version(a) })
	for _, dir := range append(versions, filepath.SplitList(path)...) {
		if executable(filepath.Join(dir, "initdb")) && executable(filepath.Join(dir, "postgres")) {
			return dir
		}
	}
	return ""
}

// version is the number in /usr/lib/postgresql/15/bin.
func version(dir string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(dir)))
	return n
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o111 != 0
}

// workFolder makes the folder of the server. As root it belongs to another
// user, whose credential is returned, since PostgreSQL refuses to run as root.
func workFolder() (string, *syscall.Credential, error) {
	base := os.TempDir()
	if len(base) > 60 || (os.Geteuid() == 0 && !openToAll(base)) {
		base = "/tmp" // a socket's path has at most 107 bytes, and the other user must reach it
	}
	dir, err := os.MkdirTemp(base, "rind-postgres-")
	if err != nil || os.Geteuid() != 0 {
		return dir, nil, err
	}
	owner := unprivileged()
	if err := os.Chown(dir, int(owner.Uid), int(owner.Gid)); err != nil {
		return "", nil, errors.Join(err, os.Remove(dir))
	}
	return dir, owner, nil
}

// openToAll reports whether every user may pass through the folder and those
// above it.
func openToAll(dir string) bool {
	for ; ; dir = filepath.Dir(dir) {
		if info, err := os.Stat(dir); err != nil || info.Mode().Perm()&fs.FileMode(0o001) == 0 {
			return false
		}
		if dir == filepath.Dir(dir) {
			return true
		}
	}
}

// unprivileged is the user that runs the server when the tests run as root.
func unprivileged() *syscall.Credential {
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
		if err1 == nil && err2 == nil && uid != 0 {
			return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		}
	}
	return &syscall.Credential{Uid: 65534, Gid: 65534}
}
