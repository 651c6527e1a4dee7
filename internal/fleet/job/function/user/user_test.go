package user

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rind-project/rind/internal/fleet/job/function/local"
	"github.com/rind-project/rind/internal/fleet/job/function/localtest"
)

const (
	passwd = "root:x:0:0:root:/root:/bin/bash\nbroken line\nalice:x:1000:1000:Alice\x1b[31m,,,:/home/alice:/bin/sh\nodd:x:abc:0::/:/bin/sh\n"
	groups = "root:x:0:\nadm:x:4:alice,syslog\nalice:x:1000:\nalice2:x:1000:alice\n"
)

func host(t *testing.T, programs ...string) *localtest.Host {
	h := localtest.New(t, programs...)
	h.File("etc/passwd", passwd)
	h.File("etc/group", groups)
	h.Answer("", local.Output{})
	return h
}

func TestLists(t *testing.T) {
	t.Parallel()
	h := host(t)
	res, err := localtest.Do(t, Runs(h.System), nil, "user.list")
	want := []Info{{Name: "root", Groups: "root", Home: "/root", Shell: "/bin/bash", Comment: "root"},
		{Name: "alice", UID: 1000, GID: 1000, Groups: "alice,adm,alice2", Home: "/home/alice", Shell: "/bin/sh", Comment: "Alice[31m,,,"}}
	if diff := cmp.Diff(any(want), res.Value); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	res, err = localtest.Do(t, Runs(h.System), nil, "group.info", "adm")
	if g, ok := res.Value.(*GroupInfo); err != nil || !ok || *g != (GroupInfo{"adm", 4, "alice,syslog"}) {
		t.Errorf("%+v, %v", res.Value, err)
	}
	for _, args := range [][]string{{"user.info", "bob"}, {"group.info", "bob"}, {"user.mod", "bob", "shell=/bin/sh"}} {
		if _, err := localtest.Do(t, Runs(h.System), nil, args[0], args[1:]...); err == nil || !strings.Contains(err.Error(), "there is no local") {
			t.Errorf("%q: %v", args, err)
		}
	}
}

func TestArgumentLists(t *testing.T) {
	t.Parallel()
	shadow := []string{"useradd", "usermod", "userdel", "groupadd", "groupmod", "groupdel", "gpasswd"}
	busybox := []string{"adduser", "deluser", "addgroup", "delgroup"}
	tests := []struct {
		programs []string
		args     []string
		want     []string
	}{
		{shadow, []string{"user.add", "bob", "uid=1234", "groups=adm,alice", "shell=/bin/sh", "comment=Bob B"}, []string{"useradd -u 1234 -s /bin/sh -c Bob B -G adm,alice -m -- bob"}},
		{shadow, []string{"user.add", "svc", "system=true"}, []string{"useradd -r -M -- svc"}},
		{shadow, []string{"user.mod", "alice", "groups=adm", "append=true", "lock=true"}, []string{"usermod -G adm -a -L -- alice"}},
		{shadow, []string{"user.remove", "alice", "home=true"}, []string{"userdel -r -- alice"}},
		{shadow, []string{"user.remove", "nobody2"}, nil},
		{shadow, []string{"group.add", "web", "gid=900"}, []string{"groupadd -g 900 web"}},
		{shadow, []string{"group.mod", "adm", "add=alice,root", "remove=syslog"}, []string{"gpasswd -a alice adm", "gpasswd -a root adm", "gpasswd -d syslog adm"}},
		{shadow, []string{"group.remove", "adm"}, []string{"groupdel adm"}},
		{shadow, []string{"user.add", "bob", "test=true"}, nil},
		{busybox, []string{"user.add", "bob", "group=adm", "groups=alice", "create_home=false"}, []string{"adduser -D -G adm -H bob", "addgroup bob alice"}},
		{busybox, []string{"user.remove", "alice"}, []string{"deluser alice"}},
		{busybox, []string{"group.mod", "adm", "add=root"}, []string{"addgroup root adm"}},
	}
	for _, tt := range tests {
		h := host(t, tt.programs...)
		if _, err := localtest.Do(t, Runs(h.System), nil, tt.args[0], tt.args[1:]...); err != nil {
			t.Errorf("%q: %v", tt.args, err)
		}
		if ran := h.Ran(); !slices.Equal(ran, tt.want) {
			t.Errorf("%q ran %q, want %q", tt.args, ran, tt.want)
		}
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	h := host(t, "useradd", "usermod", "userdel", "groupdel")
	for _, args := range [][]string{
		{"user.add", "-r"}, {"user.add", "a:b"}, {"user.add", "a b"}, {"user.add", ""}, {"user.add", "bob", "shell=sh"}, {"user.add", "bob", "home=/x:0:0"},
		{"user.add", "bob", "comment=a:b"}, {"user.add", "bob", "comment=-r"}, {"user.add", "bob", "comment=a\nroot2:x:0:0"}, {"user.add", "bob", "groups=-x"}, {"user.add", "bob", "group=a,b"},
		{"user.add", "alice"}, {"user.remove", "root"}, {"group.remove", "root"}, {"user.mod", "alice"}, {"user.mod", "alice", "lock=maybe"},
	} {
		if res, err := localtest.Do(t, Runs(h.System), nil, args[0], args[1:]...); err == nil {
			t.Errorf("%q gave %+v", args, res)
		}
	}
	if ran := h.Ran(); len(ran) > 0 {
		t.Errorf("ran %q", ran)
	}
	if _, err := localtest.Do(t, Runs(host(t).System), nil, "user.mod", "alice", "shell=/bin/sh"); err == nil || !strings.Contains(err.Error(), "no program usermod") {
		t.Errorf("got %v", err)
	}
}

// TestAChangeIsWhatTheFilesSay lets the tool change the file.
func TestAChangeIsWhatTheFilesSay(t *testing.T) {
	t.Parallel()
	h := host(t, "groupadd")
	res, err := localtest.Do(t, Runs(h.System), nil, "group.add", "web")
	if c := res.Value.(local.Change); err != nil || c.Changed || c.Comment == "" {
		t.Errorf("a tool that did nothing: %+v, %v", res.Value, err)
	}
}
