package client

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/rind-project/rind/internal/base/disk"
	"github.com/rind-project/rind/internal/base/pki"
)

// Login is what `rind login` keeps.
type Login struct {
	Server string   `yaml:"server"`
	Others []string `yaml:"others,omitempty"` // further servers of the same fleet
	Pin    string   `yaml:"pin,omitempty"`
	CAFile string   `yaml:"ca_file,omitempty"`
	Token  string   `yaml:"token"`
}

// maxLogin bounds the file in bytes.
const maxLogin = 64 << 10

// ReadLogin reads the login; ok is false when there is none.
func ReadLogin(path string) (login Login, ok bool, err error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) || path == "" {
		return Login{}, false, nil
	}
	if err == nil && info.Size() > maxLogin {
		err = fmt.Errorf("it has %d bytes", info.Size())
	}
	var text []byte
	if err == nil {
		text, err = os.ReadFile(path)
	}
	if err == nil {
		err = yaml.Unmarshal(text, &login)
	}
	if err == nil && (login.Server == "" || login.Token == "") {
		err = errors.New("server or token is missing")
	}
	if err != nil {
		return Login{}, false, fmt.Errorf("reading the login %s: %w; log in again with `rind login`, or remove it with `rind logout`", path, err)
	}
	return login, true, nil
}

// Write keeps the login in a file that only its owner reads. A crash in
// between leaves the file as it was.
func (l Login) Write(path string) error {
	text, err := yaml.Marshal(l)
	if err != nil {
		return fmt.Errorf("encoding the login: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("keeping the login: %w", err)
	}
	if err := disk.WriteFile(path, text); err != nil {
		return fmt.Errorf("keeping the login: %w", err)
	}
	return nil
}

// ParseServer accepts the address of a server: an https URL without path.
func ParseServer(s string) (string, error) {
	if !strings.Contains(s, "://") {
		s = "https://" + s
	}
	u, err := url.Parse(strings.TrimRight(s, "/"))
	if err != nil || u.Scheme != "https" || u.Host == "" || u.Path != "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", fmt.Errorf("%q is not the address of a server: give one such as https://rind.example.net:8443", s)
	}
	return u.String(), nil
}

// ParseServers accepts the addresses of servers of one fleet, and returns the
// first and the others.
func ParseServers(all []string) (first string, others []string, err error) {
	if len(all) == 0 || len(all) > MaxServers {
		return "", nil, fmt.Errorf("%d servers are named; name 1 to %d of one fleet", len(all), MaxServers)
	}
	for i, s := range all {
		u, err := ParseServer(s)
		if err != nil {
			return "", nil, err
		}
		if i == 0 {
			first = u
		} else {
			others = append(others, u)
		}
	}
	return first, others, nil
}

// Target is the servers of the login.
func (l Login) Target() (Target, error) {
	t, err := l.target(l.Server)
	if err != nil {
		return t, err
	}
	for _, server := range l.Others {
		o, err := l.target(server)
		if err != nil {
			return t, err
		}
		t.Others = append(t.Others, o)
	}
	return t, nil
}

func (l Login) target(server string) (Target, error) {
	t := Target{URL: server, Token: l.Token}
	if l.Pin == "" && l.CAFile == "" {
		return t, nil
	}
	u, err := url.Parse(server)
	if err != nil {
		return Target{}, fmt.Errorf("the server's address %q in the login: %w", server, err)
	}
	cfg, err := pki.ClientTLSFor(u.Hostname(), l.Pin, l.CAFile)
	if err != nil {
		return Target{}, fmt.Errorf("trusting %s: %w", server, err)
	}
	t.TLS = cfg
	return t, nil
}
