package server

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// banner tells the person who typed `rind up` where to go.
func (u *up) banner() {
	w := u.out
	fmt.Fprintf(w, "\nRind is up.\n\n  pages   %s\n  login   admin", u.server.URL())
	if pw := u.server.FirstPassword(); pw != "" {
		fmt.Fprintf(w, "\n          %s   one-time password, shown only now; change it at the first login", pw)
	} else {
		fmt.Fprintf(w, ", with the password that you know (else: %s user password admin)", program())
	}
	fmt.Fprintf(w, "\n  pin     %s\n  data    %s\n", u.server.Pin(), u.cfg.DataDir)
	for _, n := range u.notes {
		fmt.Fprintf(w, "  note    %s\n", n)
	}
	fmt.Fprint(w, "\nTry, in another terminal:\n\n")
	if !u.usualSocket {
		path, err := filepath.Abs(u.cfg.socketPath())
		if err != nil {
			path = u.cfg.socketPath()
		}
		fmt.Fprintf(w, "  export RIND_SOCKET=%s\n", path)
	}
	p := program()
	fmt.Fprintf(w, "  %s '*' test.ping\n  %s '*' cmd.run 'uptime'\n  %s flow list --since 5m\n\nCtrl-C ends it.\n", p, p, p)
}

// program is how this program was called.
func program() string {
	if len(os.Args) > 0 && strings.Contains(os.Args[0], "/") {
		return os.Args[0]
	}
	return "rind"
}
