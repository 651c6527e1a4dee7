package file

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rind-project/rind/internal/fleet/job/function/local"
	"github.com/rind-project/rind/internal/fleet/job/function/localtest"
	"github.com/rind-project/rind/internal/fleet/job/function/schema"
)

func do(t *testing.T, name string, args ...string) (schema.Result, error) {
	t.Helper()
	return localtest.Do(t, Runs(local.Host()), nil, name, args...)
}

func must(t *testing.T, name string, args ...string) local.Change {
	t.Helper()
	res, err := do(t, name, args...)
	if err != nil {
		t.Fatalf("%s %q: %v", name, args, err)
	}
	c, _ := res.Value.(local.Change)
	return c
}

func refused(t *testing.T, want, name string, args ...string) {
	t.Helper()
	if res, err := do(t, name, args...); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%s %.80q: %+v, %v, want %q", name, args, res, err, want)
	}
}

func content(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func put0(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	text := put0(t, dir+"/text", "grün und blau\n")
	binary := put0(t, dir+"/binary", "\x00\xff")
	big := put0(t, dir+"/big", strings.Repeat("x", maxRead+1))
	if err := syscall.Mkfifo(dir+"/pipe", 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{text}, "grün und blau\n"},
		{[]string{text, "offset=6", "limit=3"}, "und"},
		{[]string{text, "limit=3"}, "gr"},
		{[]string{text, "offset=3", "limit=3"}, "n "},
		{[]string{text, "offset=100", "limit=3"}, ""},
		{[]string{binary, "encoding=base64"}, base64.StdEncoding.EncodeToString([]byte("\x00\xff"))},
		{[]string{big, "offset=1MiB", "limit=8"}, "x"},
	} {
		if res, err := do(t, "file.read", tt.args...); err != nil || res.Value != tt.want {
			t.Errorf("%q: %q, %v, want %q", tt.args, res.Value, err, tt.want)
		}
	}
	if res, err := do(t, "file.read", "/proc/self/comm"); err != nil || res.Value == "" {
		t.Errorf("a file of /proc: %+v, %v", res, err)
	}
	refused(t, "encoding=base64", "file.read", binary)
	refused(t, "ask for a part", "file.read", big)
	refused(t, "no such file", "file.read", dir+"/absent")
	refused(t, "no file but a folder", "file.read", dir)
	refused(t, "no file but a pipe", "file.read", dir+"/pipe")
	refused(t, "no file but a device", "file.read", "/dev/zero")
	refused(t, "no absolute path", "file.read", "etc/hosts")
}

func TestStatAndHash(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	f := put0(t, dir+"/f", "abc")
	if err := os.Symlink(f, dir+"/link"); err != nil {
		t.Fatal(err)
	}
	res, err := do(t, "file.stat", dir+"/link")
	if s, ok := res.Value.(Stat); err != nil || !ok || s.Type != "link" || s.Target != f {
		t.Errorf("%+v, %v", res, err)
	}
	res, err = do(t, "file.stat", dir+"/link", "follow=true")
	if s := res.Value.(Stat); err != nil || s.Type != "file" || s.Size != 3 || s.Mode != "0600" || s.UID != uint32(os.Geteuid()) {
		t.Errorf("%+v, %v", res, err)
	}
	// FIPS 180-2, appendix B.1; RFC 1321, A.5.
	for algorithm, want := range map[string]string{
		"sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", "md5": "900150983cd24fb0d6963f7d28e17f72",
	} {
		if res, err := do(t, "file.hash", f, "algorithm="+algorithm); err != nil || res.Value.(Hash).Hash != want || res.Value.(Hash).Size != 3 {
			t.Errorf("%s: %+v, %v", algorithm, res, err)
		}
	}
}

func TestFind(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, d := range []string{"a/b/c", "z"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	put0(t, dir+"/a/one.log", "x")
	put0(t, dir+"/a/b/two.log", strings.Repeat("x", 5000))
	put0(t, dir+"/a/b/c/three.txt", "")
	if err := os.Symlink(dir, dir+"/z/loop"); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-48 * time.Hour)
	if err := os.Chtimes(dir+"/a/one.log", old, old); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		args []string
		want string
	}{
		{nil, "a a/b a/b/c a/b/c/three.txt a/b/two.log a/one.log z z/loop"},
		{[]string{"name=*.log"}, "a/b/two.log a/one.log"},
		{[]string{"type=folder"}, "a a/b a/b/c z"},
		{[]string{"type=link"}, "z/loop"},
		{[]string{"min_size=4k"}, "a/b/two.log"},
		{[]string{"type=file", "older=24h"}, "a/one.log"},
		{[]string{"type=file", "newer=24h"}, "a/b/c/three.txt a/b/two.log"},
		{[]string{"depth=1"}, "a z"},
		{[]string{"depth=2"}, "a a/b a/one.log z z/loop"},
	} {
		res, err := do(t, "file.find", append([]string{dir}, tt.args...)...)
		var got []string
		for _, f := range res.Value.([]Found) {
			got = append(got, strings.TrimPrefix(f.Path, dir+"/"))
		}
		if strings.Join(got, " ") != tt.want || err != nil || res.Failed != "" {
			t.Errorf("%q: %q, %v, %s, want %q", tt.args, got, err, res.Failed, tt.want)
		}
	}
	if res, err := do(t, "file.find", dir, "limit=2"); err != nil || len(res.Value.([]Found)) != 2 || !strings.Contains(res.Failed, "more than 2") {
		t.Errorf("%+v, %v", res, err)
	}
	refused(t, "no glob", "file.find", dir, "name=[")
}

func TestWrite(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	f := dir + "/sub/f"
	refused(t, "no such file", "file.write", f, "x")
	if c := must(t, "file.write", f, "one\ntwo\n", "parents=true", "mode=0640"); !c.Changed || c.Comment != "the file is new" {
		t.Errorf("%+v", c)
	}
	if c := must(t, "file.write", f, "one\ntwo\n", "mode=640"); c.Changed {
		t.Errorf("the same again: %+v", c)
	}
	if c := must(t, "file.write", f, "one\n2\n", "test=true"); !c.Changed || c.Diff != "@@ -1,2 +1,2 @@\n one\n-two\n+2\n" || content(t, f) != "one\ntwo\n" {
		t.Errorf("a test: %+v, %q", c, content(t, f))
	}
	must(t, "file.write", f, "one\n2\n")
	info, err := os.Stat(f)
	if err != nil || info.Mode().Perm() != 0o640 || content(t, f) != "one\n2\n" {
		t.Errorf("%v, %v, %q", info.Mode(), err, content(t, f))
	}
	must(t, "file.write", f, "AP8=", "encoding=base64", "mode=4755")
	if info, err := os.Stat(f); err != nil || content(t, f) != "\x00\xff" || info.Mode() != 0o755|os.ModeSetuid {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if left, err := filepath.Glob(dir + "/sub/.rind-*"); err != nil || len(left) > 0 {
		t.Errorf("%q, %v is left", left, err)
	}
	refused(t, "no base64", "file.write", f, "!", "encoding=base64")
	refused(t, "octal digits", "file.write", f, "", "mode=rw")
	refused(t, "octal digits", "file.write", f, "", "mode=17777")
	refused(t, "no file but a folder", "file.write", dir, "x")
	refused(t, "no local user", "file.write", f, "x", "owner=who-is-this")
	refused(t, "bytes, at most", "file.write", f, strings.Repeat("x", 400<<10))
}

func TestLinksAreRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	f := put0(t, dir+"/f", "secret\n")
	if err := os.Symlink(f, dir+"/link"); err != nil {
		t.Fatal(err)
	}
	refused(t, "is a link", "file.write", dir+"/link", "x")
	refused(t, "is a link", "file.append", dir+"/link", "x")
	refused(t, "is a link", "file.replace", dir+"/link", "s", "t")
	must(t, "file.chmod", dir+"/link", "0777")
	if info, err := os.Stat(f); err != nil || info.Mode().Perm() != 0o600 || content(t, f) != "secret\n" {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	must(t, "file.append", dir+"/link", "more", "follow=true")
	if info, err := os.Lstat(dir + "/link"); err != nil || info.Mode()&os.ModeSymlink == 0 || content(t, f) != "secret\nmore\n" {
		t.Errorf("the link did not stay, or its target did: %v, %q", err, content(t, f))
	}
	must(t, "file.remove", dir+"/link")
	if content(t, f) == "" {
		t.Error("the target went with the link")
	}
}

func TestAppendAndReplace(t *testing.T) {
	t.Parallel()
	f := put0(t, t.TempDir()+"/f", "a\nb")
	must(t, "file.append", f, "b\nc\nc\n")
	if got := content(t, f); got != "a\nb\nc\n" {
		t.Errorf("got %q", got)
	}
	if c := must(t, "file.append", f, "a"); c.Changed || c.Comment == "" {
		t.Errorf("%+v", c)
	}
	must(t, "file.replace", f, `^(a|c)$`, "<$1>")
	if got := content(t, f); got != "<a>\nb\n<c>\n" {
		t.Errorf("got %q", got)
	}
	must(t, "file.replace", f, "<a>", "$1", "literal=true")
	if got := content(t, f); got != "$1\nb\n<c>\n" {
		t.Errorf("got %q", got)
	}
	if c := must(t, "file.replace", f, "nothing", "x"); c.Changed || c.Comment != "the pattern does not match" {
		t.Errorf("%+v", c)
	}
	refused(t, "no regular expression", "file.replace", f, "(", "x")
	refused(t, "there is no file", "file.replace", f+"2", "a", "x")
}

func TestRemove(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.MkdirAll(dir+"/d/e", 0o755); err != nil {
		t.Fatal(err)
	}
	put0(t, dir+"/d/e/f", "")
	refused(t, "recursive=true removes them too", "file.remove", dir+"/d")
	if c := must(t, "file.remove", dir+"/d", "recursive=true", "test=true"); !c.Changed || c.Comment != "3 files altogether" {
		t.Errorf("%+v", c)
	}
	must(t, "file.remove", dir+"/d/e/f")
	must(t, "file.remove", dir+"/d/e")
	must(t, "file.remove", dir+"/d", "recursive=true")
	if _, err := os.Stat(dir + "/d"); err == nil {
		t.Error("it is there still")
	}
	if c := must(t, "file.remove", dir+"/d"); c.Changed {
		t.Errorf("%+v", c)
	}
	// With test=true, so that a defect here removes nothing.
	if err := os.Symlink("/", dir+"/root"); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/", "//", "/etc", "/usr/bin", "/usr/../etc", "/etc/", dir + "/root/etc", "/bin/../usr/lib"} {
		refused(t, "folder of the system", "file.remove", path, "recursive=true", "test=true")
	}
}

func TestFolders(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if c := must(t, "file.mkdir", dir+"/a/b", "mode=1770"); !c.Changed {
		t.Errorf("%+v", c)
	}
	if info, err := os.Stat(dir + "/a/b"); err != nil || info.Mode() != os.ModeDir|os.ModeSticky|0o770 {
		t.Errorf("%v, %v", info, err)
	}
	if c := must(t, "file.mkdir", dir+"/a/b"); c.Changed {
		t.Errorf("%+v", c)
	}
	if c := must(t, "file.mkdir", dir+"/a/b", "mode=0700", "test=true"); !c.Changed {
		t.Errorf("%+v", c)
	}
	refused(t, "no such file", "file.mkdir", dir+"/x/y", "parents=false")
	put0(t, dir+"/f", "")
	refused(t, "there already, as a file", "file.mkdir", dir+"/f")
}

func TestTrees(t *testing.T) {
	t.Parallel()
	dir, outside := t.TempDir(), put0(t, t.TempDir()+"/outside", "")
	for n := range 20 {
		if err := os.MkdirAll(fmt.Sprintf("%s/t/%d", dir, n), 0o755); err != nil {
			t.Fatal(err)
		}
		put0(t, fmt.Sprintf("%s/t/%d/f", dir, n), "")
	}
	if err := os.Symlink(outside, dir+"/t/link"); err != nil {
		t.Fatal(err)
	}
	if c := must(t, "file.chmod", dir+"/t", "0750", "recursive=true", "test=true"); !c.Changed || c.Comment != "41 of 42 files differ" {
		t.Errorf("%+v", c)
	}
	must(t, "file.chmod", dir+"/t", "0750", "recursive=true")
	if c := must(t, "file.chmod", dir+"/t", "0750", "recursive=true"); c.Changed {
		t.Errorf("%+v", c)
	}
	for _, tt := range []struct {
		path string
		want os.FileMode
	}{{dir + "/t/7/f", 0o750}, {outside, 0o600}} {
		if info, err := os.Stat(tt.path); err != nil || info.Mode().Perm() != tt.want {
			t.Errorf("%s: %v, %v", tt.path, info.Mode(), err)
		}
	}
	refused(t, "is to be USER", "file.chown", dir+"/t", ":")
	refused(t, "no local user", "file.chown", dir+"/t", "who-is-this")
	refused(t, "no such file", "file.chown", dir+"/absent", "0")
	if os.Geteuid() != 0 {
		t.Skip("only root gives files away")
	}
	must(t, "file.chown", dir+"/t", "12345:12346", "recursive=true")
	var st syscall.Stat_t
	if err := syscall.Lstat(dir+"/t/link", &st); err != nil || st.Uid != 12345 {
		t.Errorf("the link has %d, %v", st.Uid, err)
	}
	if err := syscall.Stat(outside, &st); err != nil || st.Uid != 0 {
		t.Errorf("what the link points to has %d, %v", st.Uid, err)
	}
	must(t, "file.write", dir+"/t/7/f", "new")
	if err := syscall.Stat(dir+"/t/7/f", &st); err != nil || st.Uid != 12345 || st.Gid != 12346 {
		t.Errorf("a new content has %d:%d, %v", st.Uid, st.Gid, err)
	}
}
