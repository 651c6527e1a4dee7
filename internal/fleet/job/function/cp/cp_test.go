package cp_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/blob"
	"github.com/rind-project/rind/internal/fleet/bus"
	"github.com/rind-project/rind/internal/fleet/job"
	"github.com/rind-project/rind/internal/fleet/job/function/cp"
	"github.com/rind-project/rind/internal/fleet/job/function/localtest"
	"github.com/rind-project/rind/internal/fleet/job/function/schema"
)

// server is a host whose master has one file, and takes what comes.
type server struct {
	data  []byte
	asked []int // chunks that were asked for
	fail  func(n int) error
	spoil bool

	came     []byte
	known    int // chunks that it says it has already
	complete bool
	busy     atomic.Int32
	most     atomic.Int32
}

func (*server) ID() fleet.PeelID                                               { return "web-1" }
func (*server) Version() string                                                { return "test" }
func (*server) Facts(context.Context) (fleet.Facts, error)                     { return fleet.Facts{}, nil }
func (*server) Event(context.Context, string, []byte) error                    { return nil }
func (*server) Vouched(job.Word, []byte, []byte) error                         { return nil }
func (*server) Settings(context.Context, bool) (string, map[string]any, error) { return "", nil, nil }

func (s *server) Ask(_ context.Context, what string, data []byte) ([]byte, error) {
	s.most.Store(max(s.most.Load(), s.busy.Add(1)))
	defer s.busy.Add(-1)
	switch what {
	case blob.AskGet:
		return s.get(data)
	case blob.AskBegin:
		return json.Marshal(blob.Progress{Next: s.known, Chunks: 99, Complete: s.complete})
	case blob.AskPut:
		h, b, err := blob.Unpack(data)
		if err != nil {
			return nil, err
		}
		s.came = append(s.came, b...)
		return json.Marshal(blob.Progress{Next: h.N + 1, Chunks: 99})
	}
	s.complete = true
	return nil, nil
}

func (s *server) get(data []byte) ([]byte, error) {
	var req blob.Header
	if err := json.Unmarshal(data, &req); err != nil {
		return nil, err
	}
	s.asked = append(s.asked, req.N)
	if s.fail != nil {
		if err := s.fail(req.N); err != nil {
			return nil, err
		}
	}
	if req.SHA256 != blob.Sum(s.data) || req.N > 0 && req.N >= blob.Chunks(int64(len(s.data))) {
		return nil, bus.Refused("there is no such chunk")
	}
	b := bytes.Clone(s.data[req.N*blob.Chunk : min((req.N+1)*blob.Chunk, len(s.data))])
	if s.spoil {
		b[0] ^= 1
	}
	return blob.Pack(blob.Header{SHA256: req.SHA256, N: req.N, Size: int64(len(s.data)), Sum: blob.Sum(b)}, b)
}

func content(n int) []byte { return bytes.Repeat([]byte("0123456789abcde\n"), n/16+1)[:n] }

func value[T any](t *testing.T, res schema.Result, err error) T {
	t.Helper()
	v, ok := res.Value.(T)
	if err != nil || !ok {
		t.Fatalf("%+v %v", res, err)
	}
	return v
}

func left(t *testing.T, dir string) []string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(dir, ".rind-*"))
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestGet(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 1, blob.Chunk, 2*blob.Chunk + 17} {
		h := localtest.New(t)
		h.File("srv/other", "")
		s := &server{data: content(size)}
		sum := blob.Sum(s.data)
		runs := cp.Runs(h.System)
		res, err := localtest.Do(t, runs, s, "cp.get", sum, "/srv/app", "mode=0640")
		if got := value[cp.Got](t, res, err); got != (cp.Got{Path: "/srv/app", Size: int64(size), Changed: true}) {
			t.Errorf("%d bytes: %+v", size, got)
		}
		b, err := os.ReadFile(h.Path("srv/app"))
		info, _ := os.Stat(h.Path("srv/app"))
		if err != nil || !bytes.Equal(b, s.data) || info.Mode().Perm() != 0o640 || len(left(t, h.Path("srv"))) != 0 {
			t.Errorf("%d bytes: %d have come, %v, left %v, %v", size, len(b), info, left(t, h.Path("srv")), err)
		}
		asked := len(s.asked)
		res, err = localtest.Do(t, runs, s, "cp.get", sum, "/srv/app")
		if got := value[cp.Got](t, res, err); got.Changed || len(s.asked) != asked {
			t.Errorf("%d bytes, again: %+v", size, got)
		}
		res, err = localtest.Do(t, runs, s, "cp.get", sum, "/srv/app", "mode=0600")
		if got := value[cp.Got](t, res, err); !got.Changed || len(s.asked) != asked {
			t.Errorf("%d bytes, another permission: %+v", size, got)
		}
	}
}

// TestGetGoesOn: whatever an earlier try has left, the file comes out right.
func TestGetGoesOn(t *testing.T) {
	t.Parallel()
	data := content(5*blob.Chunk + 100)
	for name, tt := range map[string]struct {
		had     []byte
		resumed int64
	}{
		"some":             {data[:2*blob.Chunk+5], 2 * blob.Chunk},
		"some, even":       {data[:2*blob.Chunk], blob.Chunk},
		"all":              {data, 5 * blob.Chunk},
		"all and more":     {append(bytes.Clone(data), 1), 5 * blob.Chunk},
		"far too much":     {content(9 * blob.Chunk), 0},
		"the last spoiled": {append(bytes.Clone(data[:2*blob.Chunk]), 1, 2, 3), 2 * blob.Chunk},
	} {
		h := localtest.New(t)
		h.File("srv/app", "old")
		s := &server{data: data}
		sum := blob.Sum(data)
		part := h.Path("srv/.rind-" + sum[:16] + ".part")
		if err := os.WriteFile(part, tt.had, 0o600); err != nil {
			t.Fatal(err)
		}
		res, err := localtest.Do(t, cp.Runs(h.System), s, "cp.get", sum, "/srv/app")
		if name == "all and more" { // is too long, so that it begins anew
			tt.resumed = 0
		}
		if got := value[cp.Got](t, res, err); got.Resumed != tt.resumed {
			t.Errorf("%s: %+v, asked for %v", name, got, s.asked)
		}
		if b, err := os.ReadFile(h.Path("srv/app")); err != nil || !bytes.Equal(b, data) {
			t.Errorf("%s: %d bytes, %v", name, len(b), err)
		}
	}
}

func TestGetIsInterrupted(t *testing.T) {
	t.Parallel()
	h := localtest.New(t)
	h.File("srv/app", "old")
	data := content(4 * blob.Chunk)
	s := &server{data: data, fail: func(n int) error {
		if n == 2 {
			return errors.New("the peel is stopping")
		}
		return nil
	}}
	runs := cp.Runs(h.System)
	if _, err := localtest.Do(t, runs, s, "cp.get", blob.Sum(data), "/srv/app"); err == nil {
		t.Fatal("it went well")
	}
	if b, _ := os.ReadFile(h.Path("srv/app")); string(b) != "old" {
		t.Error("the old file is not there any more")
	}
	s.fail, s.asked = nil, nil
	res, err := localtest.Do(t, runs, s, "cp.get", blob.Sum(data), "/srv/app")
	if got := value[cp.Got](t, res, err); got.Resumed != blob.Chunk || fmt.Sprint(s.asked) != "[1 2 3]" {
		t.Errorf("%+v, asked for %v", got, s.asked)
	}
}

// What somebody else put in the place of the partial file is not used: on a
// folder that others may write to, it is their choice.
func TestForeignPartial(t *testing.T) {
	t.Parallel()
	data := content(blob.Chunk + 1)
	for name, put := range map[string]func(t *testing.T, part, victim string){
		"link":      func(t *testing.T, part, victim string) { must(t, os.Symlink(victim, part)) },
		"hard link": func(t *testing.T, part, victim string) { must(t, os.Link(victim, part)) },
		"pipe":      func(t *testing.T, part, _ string) { must(t, syscall.Mkfifo(part, 0o600)) },
		"open": func(t *testing.T, part, _ string) {
			must(t, os.WriteFile(part, []byte("x"), 0o600))
			must(t, os.Chmod(part, 0o666))
		},
	} {
		h := localtest.New(t)
		h.File("tmp/victim", "precious")
		must(t, os.Chmod(h.Path("tmp/victim"), 0o600))
		put(t, h.Path("tmp/.rind-"+blob.Sum(data)[:16]+".part"), h.Path("tmp/victim"))
		res, err := localtest.Do(t, cp.Runs(h.System), &server{data: data}, "cp.get", blob.Sum(data), "/tmp/app")
		value[cp.Got](t, res, err)
		b, _ := os.ReadFile(h.Path("tmp/app"))
		if v, _ := os.ReadFile(h.Path("tmp/victim")); string(v) != "precious" || !bytes.Equal(b, data) {
			t.Errorf("%s: the other file is %q, %d bytes have come", name, v, len(b))
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestGetRefuses(t *testing.T) {
	t.Parallel()
	h := localtest.New(t)
	h.File("srv/app", "old")
	h.File("etc/passwd", "root:x:0:0::/root:/bin/sh\n")
	must(t, os.Symlink("app", h.Path("srv/link")))
	data := content(blob.Chunk + 1)
	sum := blob.Sum(data)
	for name, tt := range map[string]struct {
		args  []string
		spoil bool
		says  string
	}{
		"no hash":         {[]string{"app.tar", "/srv/app"}, false, "is no SHA-256"},
		"relative":        {[]string{sum, "srv/app"}, false, "no absolute path"},
		"a folder":        {[]string{sum, "/srv"}, false, "is a folder"},
		"a link":          {[]string{sum, "/srv/link"}, false, "no regular file"},
		"folder missing":  {[]string{sum, "/none/app"}, false, "/none/app"},
		"mode":            {[]string{sum, "/srv/app", "mode=999"}, false, "octal digits"},
		"user":            {[]string{sum, "/srv/app", "user=nobody-here"}, false, "nobody-here"},
		"another hash":    {[]string{blob.Sum([]byte("x")), "/srv/app"}, false, "there is no such chunk"},
		"other than said": {[]string{sum, "/srv/app"}, true, "the next try begins anew"},
	} {
		_, err := localtest.Do(t, cp.Runs(h.System), &server{data: data, spoil: tt.spoil}, "cp.get", tt.args...)
		if err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v", name, err)
		}
		if b, _ := os.ReadFile(h.Path("srv/app")); string(b) != "old" {
			t.Errorf("%s: the file is %.20q", name, b)
		}
	}
}

func TestPush(t *testing.T) {
	t.Parallel()
	h := localtest.New(t)
	data := content(2*blob.Chunk + 9)
	h.File("var/log/app", string(data))
	must(t, os.Symlink("app", h.Path("var/log/link")))
	want := blob.Pushed{Path: "/var/log/app", SHA256: blob.Sum(data), Size: int64(len(data))}
	for known := range 3 {
		s := &server{known: known}
		res, err := localtest.Do(t, cp.Runs(h.System), s, "cp.push", "/var/log/app")
		if got := value[blob.Pushed](t, res, err); got != want || !s.complete || !bytes.Equal(s.came, data[known*blob.Chunk:]) {
			t.Errorf("from chunk %d on: %+v, %d bytes came", known, got, len(s.came))
		}
	}
	s := &server{complete: true}
	res, err := localtest.Do(t, cp.Runs(h.System), s, "cp.push", "/var/log/app")
	if got := value[blob.Pushed](t, res, err); got != want || len(s.came) != 0 {
		t.Errorf("which is there: %+v, %d bytes came", got, len(s.came))
	}
	for _, bad := range []string{"/var/log", "/var/log/link", "/var/log/none", "var/log/app"} {
		if _, err := localtest.Do(t, cp.Runs(h.System), &server{}, "cp.push", bad); err == nil || errs.Is(err, errs.Internal) {
			t.Errorf("%s: %v", bad, err)
		}
	}
	if _, err := localtest.Do(t, cp.Runs(h.System), &server{known: 1 << 20}, "cp.push", "/var/log/app"); err == nil {
		t.Error("a master that asks for what is not there is believed")
	}
}

// A third transfer waits until one of two has ended.
func TestTwoAtATime(t *testing.T) {
	t.Parallel()
	h := localtest.New(t)
	open := make(chan struct{})
	s := &server{data: content(1)}
	runs := cp.Runs(h.System)
	ended := make(chan struct{}, 5)
	for n := range 5 {
		h.File(fmt.Sprintf("srv%d/x", n), "")
		go func() {
			one := &server{data: s.data, fail: func(int) error {
				s.most.Store(max(s.most.Load(), s.busy.Add(1)))
				<-open
				s.busy.Add(-1)
				return errors.New("enough")
			}}
			_, _ = localtest.Do(t, runs, one, "cp.get", blob.Sum(s.data), fmt.Sprintf("/srv%d/app", n))
			ended <- struct{}{}
		}()
	}
	for deadline := time.Now().Add(10 * time.Second); s.busy.Load() < 2 && time.Now().Before(deadline); time.Sleep(time.Millisecond) {
	}
	time.Sleep(50 * time.Millisecond)
	close(open)
	for range 5 {
		<-ended
	}
	if n := s.most.Load(); n != 2 {
		t.Errorf("%d transfers at the same time", n)
	}
}
