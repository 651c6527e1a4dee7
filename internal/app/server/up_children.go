package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/base/process"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/enroll"
	"github.com/rind-project/rind/internal/fleet/enroll/registrar"
)

// connectTimeout bounds the wait for this machine's agent.
const connectTimeout = 15 * time.Second

// enrollTimeout bounds the enrollment of this machine with its own server.
const enrollTimeout = time.Minute

// peel enrolls this machine, unless it is enrolled, and returns its agent.
func (u *up) peel(ctx context.Context) (*process.Child, error) {
	path, err := beside("rind-peel")
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(u.cfg.DataDir, "peel")
	if identity, err := enroll.LoadIdentity(dir); err != nil || !u.reaches(identity) {
		token, err := u.server.registrar.CreateToken(ctx, registrar.TokenRequest{TTL: 5 * time.Minute, AutoApprove: true, By: "rind up"})
		if err != nil {
			return nil, fmt.Errorf("making a token for this machine: %w", err)
		}
		if err := u.child(ctx, token.Secret, path, "--data", dir, "enroll", "--server", u.loopbackURL(),
			"--pin", u.server.Pin(), "--token", "-", "--id", string(machineID()), "--wait", enrollTimeout.String()); err != nil {
			return nil, fmt.Errorf("enrolling this machine: %w", err)
		}
	}
	return process.New(process.Config{
		Name: "rind-peel", Path: path, Output: u.errOut,
		Args: []string{"--data", dir, "run", "--set", "log.level=" + u.cfg.Log.Level},
	}, u.log), nil
}

// awaitPeel waits a moment for this machine's agent to connect, so that the
// first command that is tried finds it.
func (u *up) awaitPeel(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	for {
		p, err := u.server.master.Peel(ctx, machineID())
		if err == nil && p.Presence == fleet.Connected {
			return
		}
		select {
		case <-ctx.Done():
			u.notes = append(u.notes, "this machine's agent has not connected yet; what it says stands above")
			return
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// reaches reports whether the peel knows where server and bus are now: they
// may listen elsewhere than at the last start.
func (u *up) reaches(identity *enroll.Identity) bool {
	_, want, _ := net.SplitHostPort(u.server.BusAddr())
	for _, raw := range identity.BusURLs {
		if bus, err := url.Parse(raw); err == nil && bus.Port() == want {
			return identity.Server == u.loopbackURL()
		}
	}
	return false
}

// tap gives this machine's sensor a token, unless it has one, and returns it;
// nil when this user may not capture.
func (u *up) tap(ctx context.Context) (*process.Child, error) {
	path, err := beside("rind-tap")
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(u.cfg.DataDir, "tap")
	if _, err := os.Stat(filepath.Join(dir, "join.json")); errors.Is(err, fs.ErrNotExist) {
		token, err := u.tapToken(ctx, string(machineID()))
		if err != nil {
			return nil, fmt.Errorf("making a token for this machine's tap: %w", err)
		}
		if err := u.child(ctx, token, path, "--data", dir, "join", "--server", u.loopbackURL(), "--pin", u.server.Pin(), "--token", "-"); err != nil {
			return nil, fmt.Errorf("joining this machine's tap: %w", err)
		}
	}
	if !mayCapture() {
		u.notes = append(u.notes,
			"this user may not capture (no CAP_NET_RAW): run it as root to see live traffic, or read a capture:",
			"  "+path+" --data "+dir+" read --to node --now FILE.pcap")
		return nil, nil
	}
	names, err := u.captureInterfaces()
	if err != nil {
		return nil, err
	}
	args := []string{"--data", dir, "run", "--set", "log.level=" + u.cfg.Log.Level, "--set", "node.urls=" + u.loopbackURL()}
	for _, n := range names {
		args = append(args, "--interface", n)
	}
	u.notes = append(u.notes, "capturing on "+strings.Join(names, ", "))
	return process.New(process.Config{Name: "rind-tap", Path: path, Args: args, Output: u.errOut}, u.log), nil
}

// tapToken makes the tap, or gives the one that is there a new token.
func (u *up) tapToken(ctx context.Context, name string) (string, error) {
	taps := u.server.node.Ingest()
	token, err := taps.AddTap(ctx, name, 0)
	if errs.Is(err, errs.Conflict) {
		return taps.RotateTap(ctx, name, 0)
	}
	return token, err
}

// child runs a command of a daemon to its end and returns what it complained.
// The secret goes to its standard input: a command line is everybody's to read.
func (u *up) child(ctx context.Context, secret, path string, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, enrollTimeout+10*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Stdin = strings.NewReader(secret + "\n")
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	if err := cmd.Run(); err != nil {
		if msg := strings.TrimSpace(complaint.String()); msg != "" {
			return errors.New(msg)
		}
		return err
	}
	return nil
}

// loopbackURL is how this machine reaches its own server.
func (u *up) loopbackURL() string {
	host, port, err := net.SplitHostPort(u.server.Addr())
	if err != nil {
		return u.server.URL()
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "https://" + net.JoinHostPort(host, port)
}

// machineID is this machine's name as the id of a peel and of a tap.
func machineID() fleet.PeelID {
	if name, err := os.Hostname(); err == nil {
		if id, err := fleet.PeelIDFromHostname(name); err == nil {
			return id
		}
	}
	return "this-machine"
}
