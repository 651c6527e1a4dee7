package ssh_test

import (
	"encoding/binary"
	"errors"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/packet/parse"
	"github.com/rind-project/rind/internal/network/packet/parse/parsetest"
	"github.com/rind-project/rind/internal/network/packet/ssh"
)

func newStream() parse.Stream { return new(ssh.Stream) }

// kex is a KEXINIT packet with the algorithms, the client's in the even lists.
func kex(lists ...string) string {
	body := "\x14" + strings.Repeat("c", 16)
	for i := range 10 {
		list := ""
		if i < len(lists) {
			list = lists[i]
		}
		body += string(binary.BigEndian.AppendUint32(nil, uint32(len(list)))) + list
	}
	body += "\x00\x00\x00\x00\x00"
	pad := 8 - (5+len(body))%8 + 4
	head := binary.BigEndian.AppendUint32(nil, uint32(1+len(body)+pad))
	return string(head) + string(rune(pad)) + body + strings.Repeat("\x00", pad)
}

// What a client of OpenSSH 7.6 offers by default, and its HASSH as the lists of
// HASSH (https://github.com/salesforce/hassh) have it.
var example = [...]string{
	"curve25519-sha256,curve25519-sha256@libssh.org,ecdh-sha2-nistp256,ecdh-sha2-nistp384,ecdh-sha2-nistp521,diffie-hellman-group-exchange-sha256,diffie-hellman-group16-sha512,diffie-hellman-group18-sha512,diffie-hellman-group-exchange-sha1,diffie-hellman-group14-sha256,diffie-hellman-group14-sha1,ext-info-c",
	"chacha20-poly1305@openssh.com,aes128-ctr,aes192-ctr,aes256-ctr,aes128-gcm@openssh.com,aes256-gcm@openssh.com",
	"umac-64-etm@openssh.com,umac-128-etm@openssh.com,hmac-sha2-256-etm@openssh.com,hmac-sha2-512-etm@openssh.com,hmac-sha1-etm@openssh.com,umac-64@openssh.com,umac-128@openssh.com,hmac-sha2-256,hmac-sha2-512,hmac-sha1",
	"none,zlib@openssh.com,zlib",
}

const exampleHASSH = "06046964c022c6407d15a27b12a6a4fb"

// TestHASSHServer has what a server of OpenSSH 7.6 offers by default, and its
// HASSH as Suricata's manual has it for an example (SSH keywords,
// ssh.hassh.server).
func TestHASSHServer(t *testing.T) {
	t.Parallel()
	exchange := strings.TrimSuffix(strings.Replace(example[0], "diffie-hellman-group-exchange-sha1,", "", 1), ",ext-info-c")
	s := kex(exchange, "ssh-rsa", "x", example[1], "y", example[2], "z", "none,zlib@openssh.com")
	out := parsetest.NewOut()
	if err := parsetest.Run(newStream(), out, parsetest.Talk(22, parsetest.S("SSH-2.0-OpenSSH_7.6p1 Ubuntu-4ubuntu0.3\r\n"+s)), nil); err != nil {
		t.Fatal(err)
	}
	if got, want := out.Records.SSH[0].HASSHServer, "b12d2871a1189eff20364cf5333619ee"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestStream(t *testing.T) {
	t.Parallel()
	c := kex(example[0], "ssh-rsa", example[1], "x", example[2], "y", example[3], "z")
	s := kex(example[0], "ssh-rsa", "x", example[1], "y", example[2], "z", example[3])
	for name, x := range map[string]struct {
		chunks []parsetest.Chunk
		want   []network.SSH
		err    error
	}{
		"both sides": {[]parsetest.Chunk{parsetest.C("SSH-2.0-client_1 comment\r\n" + c), parsetest.S("SSH-2.0-server\r\n" + s)},
			[]network.SSH{{ClientBanner: "SSH-2.0-client_1 comment", ServerBanner: "SSH-2.0-server", HASSH: exampleHASSH, HASSHServer: exampleHASSH}}, parse.ErrDone},
		"lines before": {[]parsetest.Chunk{parsetest.S("Welcome\nto this\r\nSSH-2.0-server\n"), parsetest.C("SSH-2.0-c\n")},
			[]network.SSH{{ClientBanner: "SSH-2.0-c", ServerBanner: "SSH-2.0-server"}}, nil},
		"version 1": {[]parsetest.Chunk{parsetest.S("SSH-1.5-old\n\x00\x00\x01\x0b"), parsetest.C("SSH-1.5-older\n")},
			[]network.SSH{{ClientBanner: "SSH-1.5-older", ServerBanner: "SSH-1.5-old"}}, parse.ErrDone},
		"only the server":       {[]parsetest.Chunk{parsetest.S("SSH-2.0-server\r\n" + s)}, []network.SSH{{ServerBanner: "SSH-2.0-server", HASSHServer: exampleHASSH}}, nil},
		"odd bytes":             {[]parsetest.Chunk{parsetest.S("SSH-2.0-\x1b[31m\xff\r\n")}, []network.SSH{{ServerBanner: `SSH-2.0-\027[31m\255`}}, nil},
		"another packet":        {[]parsetest.Chunk{parsetest.C("SSH-2.0-c\n\x00\x00\x00\x20\x04\x15\x00")}, []network.SSH{{ClientBanner: "SSH-2.0-c"}}, parse.ErrMalformed},
		"a packet of 4 GB":      {[]parsetest.Chunk{parsetest.C("SSH-2.0-c\n\xff\xff\xff\xff\x04\x14")}, []network.SSH{{ClientBanner: "SSH-2.0-c"}}, parse.ErrMalformed},
		"more padding":          {[]parsetest.Chunk{parsetest.C("SSH-2.0-c\n\x00\x00\x00\x20\xff\x14")}, []network.SSH{{ClientBanner: "SSH-2.0-c"}}, parse.ErrMalformed},
		"a list past the end":   {[]parsetest.Chunk{parsetest.C("SSH-2.0-c\n\x00\x00\x00\x20\x04\x14" + strings.Repeat("\xff", 40))}, []network.SSH{{ClientBanner: "SSH-2.0-c"}}, parse.ErrMalformed},
		"a line without end":    {[]parsetest.Chunk{parsetest.S("SSH-2.0-" + strings.Repeat("x", 300))}, nil, parse.ErrMalformed},
		"a client of HTTP":      {[]parsetest.Chunk{parsetest.C("GET / HTTP/1.1\r\n")}, nil, parse.ErrNot},
		"a server that babbles": {[]parsetest.Chunk{parsetest.S(strings.Repeat("x\n", 100))}, nil, parse.ErrNot},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, talk := parsetest.NewOut(), parsetest.Talk(22, x.chunks...)
			if err := parsetest.Run(newStream(), out, talk, nil); !errors.Is(err, x.err) {
				t.Fatalf("it ended with %v, want %v", err, x.err)
			}
			for i := range out.Records.SSH {
				if out.Records.SSH[i].Session != talk.Session {
					t.Errorf("session %+v", out.Records.SSH[i].Session)
				}
				out.Records.SSH[i].Session = network.Session{}
			}
			if diff := cmp.Diff(x.want, out.Records.SSH, cmp.Comparer(func(a, b network.SSH) bool { return a == b })); diff != "" {
				t.Error(diff)
			}
			parsetest.Cuts(t, newStream(), talk, 1)
		})
	}
}

func TestLooksLike(t *testing.T) {
	t.Parallel()
	for b, want := range map[string]bool{"SSH-2.0-x\n": true, "SSH-": true, "SSH": false, "ssh-2.0": false, "": false} {
		if ssh.LooksLike(parse.Server, []byte(b)) != want {
			t.Errorf("%q: %v", b, !want)
		}
	}
}

func TestGolden(t *testing.T) {
	t.Parallel()
	parsetest.Golden(t, filepath.Join("testdata", "openssh.pcap"), 22, newStream)
}

// TestAgainstTshark compares banners and HASSH with those that tshark finds.
func TestAgainstTshark(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"zeek/ssh/server-pre-banner-data.pcap", "zeek/ssh/single-conn.pcap", "suricata-verify/ssh-hassh__input.pcap"} {
		t.Run(filepath.Base(name), func(t *testing.T) {
			t.Parallel()
			path := parsetest.Corpus(t, name)
			want, got := map[string]bool{}, map[string]bool{}
			for _, row := range parsetest.Tshark(t, path, "", "ssh.kex.hassh || ssh.kex.hasshserver", "ssh.kex.hassh", "ssh.kex.hasshserver") {
				want["client "+row[0]], want["server "+row[1]] = true, true
			}
			want["client "], want["server "] = true, true
			for _, c := range parsetest.Conversations(t, path, network.TCP, 22) {
				out := parsetest.NewOut()
				_ = parsetest.Run(newStream(), out, c, nil) // some captures end within the handshake
				for _, r := range out.Records.SSH {
					got["client "+r.HASSH] = true
					// tshark takes the lines before the server's banner for it,
					// and then finds no key exchange of the server.
					if !strings.Contains(name, "pre-banner") {
						got["server "+r.HASSHServer] = true
					} else if r.HASSHServer == "" {
						t.Error("no HASSH of the server behind its lines")
					}
				}
			}
			got["client "], got["server "] = true, true
			if diff := cmp.Diff(slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(got))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestLinear gives algorithm lists of different lengths, and lines.
func TestLinear(t *testing.T) {
	s, out := new(ssh.Stream), parsetest.NewOut()
	parsetest.Linear(t, 3000, func(n int) {
		s.Reset()
		b := []byte("SSH-2.0-c\n" + kex(strings.Repeat("a", n)))
		k, err := s.Next(out, parse.Client, b)
		if err == nil {
			_, err = s.Next(out, parse.Client, b[k:])
		}
		if err != nil {
			t.Fatal(err)
		}
	})
}

func FuzzStream(f *testing.F) {
	parsetest.FuzzStream(f, newStream,
		parsetest.Talk(22, parsetest.C("SSH-2.0-c\r\n"+kex("a", "b", "c,d", "e", "f", "g", "h")), parsetest.S("hi\nSSH-2.0-s\r\n"+kex("a", "b", "c"))),
		parsetest.Conversations(f, filepath.Join("testdata", "openssh.pcap"), network.TCP, 22)[0])
}
