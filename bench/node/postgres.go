package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/base/database/postgres"
)

// engine is a PostgreSQL of this program, in a temporary folder.
type engine struct {
	dir   string
	kept  bool // the folder is the user's and stays
	cmd   *exec.Cmd
	admin *database.DB
}

// startEngine makes a cluster with the settings of a small server that is
// cared for: fsync is on, autovacuum runs. It is made in a folder of its own
// that goes again, or in the one that is given, where it is found the next time.
func startEngine(ctx context.Context, folder string) (*engine, error) {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if len(found) == 0 {
		return nil, errors.New("no PostgreSQL in /usr/lib/postgresql: install it (Debian: apt-get install postgresql)")
	}
	slices.Sort(found)
	bin := filepath.Dir(found[len(found)-1])
	e, owner, err := makeFolder(folder)
	if err != nil {
		return nil, err
	}
	data := filepath.Join(e.dir, "data")
	if _, err := os.Stat(data); errors.Is(err, os.ErrNotExist) {
		initdb := exec.CommandContext(ctx, filepath.Join(bin, "initdb"), "-D", data, "-U", "rind", "--auth=trust", "--encoding=UTF8", "--locale=C")
		initdb.SysProcAttr, initdb.Dir = owner, e.dir
		if out, err := initdb.CombinedOutput(); err != nil {
			return nil, errors.Join(fmt.Errorf("initdb: %w: %s", err, out), e.remove())
		}
	}
	e.cmd = exec.CommandContext(context.WithoutCancel(ctx), filepath.Join(bin, "postgres"), "-D", data, "-k", e.dir, "-c", "listen_addresses=",
		"-c", "shared_buffers=2GB", "-c", "max_wal_size=8GB", "-c", "wal_compression=lz4", "-c", "checkpoint_timeout=15min", "-c", "logging_collector=off")
	e.cmd.SysProcAttr, e.cmd.Dir = owner, e.dir
	if err := e.cmd.Start(); err != nil {
		return nil, errors.Join(err, e.remove())
	}
	for end := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		if e.admin, err = postgres.Open(ctx, e.url("public")); err == nil {
			return e, nil
		}
		if time.Now().After(end) {
			return nil, errors.Join(err, e.stop())
		}
	}
}

// makeFolder makes the engine's folder, and says as whom PostgreSQL runs.
func makeFolder(folder string) (*engine, *syscall.SysProcAttr, error) {
	e := &engine{dir: folder, kept: folder != ""}
	var err error
	if e.kept {
		e.dir, err = filepath.Abs(folder)
		err = errors.Join(err, os.MkdirAll(e.dir, 0o700))
	} else {
		e.dir, err = os.MkdirTemp("/var/tmp", "rind-bench-")
	}
	if err != nil {
		return nil, nil, err
	}
	owner, err := unprivileged(e.dir)
	if err != nil {
		return nil, nil, errors.Join(err, e.remove())
	}
	return e, owner, nil
}

// remove removes the folder if it is the engine's own.
func (e *engine) remove() error {
	if e.kept {
		return nil
	}
	return os.RemoveAll(e.dir)
}

func (e *engine) url(schema string) string {
	return (&url.URL{Scheme: "postgres", User: url.User("rind"), Path: "/postgres", RawQuery: url.Values{"host": {e.dir}, "search_path": {schema}}.Encode()}).String()
}

// schema opens an empty schema.
func (e *engine) schema(ctx context.Context, name string) (*database.DB, error) {
	if _, err := e.admin.Exec(ctx, "DROP SCHEMA IF EXISTS "+name+" CASCADE"); err != nil {
		return nil, err
	}
	if _, err := e.admin.Exec(ctx, "CREATE SCHEMA "+name); err != nil {
		return nil, err
	}
	return e.open(ctx, name)
}

// open opens a schema that is there.
func (e *engine) open(ctx context.Context, name string) (*database.DB, error) {
	return postgres.Open(ctx, e.url(name))
}

// stop ends the server that this program started, and removes its folder.
func (e *engine) stop() error {
	if e.admin != nil {
		_ = e.admin.Close()
	}
	err := e.cmd.Process.Signal(syscall.SIGINT)
	_ = e.cmd.Wait()
	return errors.Join(err, e.remove())
}

// unprivileged gives the folder to a user who may run PostgreSQL, which
// refuses to be run by root.
func unprivileged(dir string) (*syscall.SysProcAttr, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		if u, err := user.Lookup(name); err == nil {
			uid, err1 := strconv.Atoi(u.Uid)
			gid, err2 := strconv.Atoi(u.Gid)
			if err := errors.Join(err1, err2); err != nil {
				return nil, err
			}
			return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}, os.Chown(dir, uid, gid)
		}
	}
	return nil, errors.New("there is neither a user postgres nor nobody")
}
