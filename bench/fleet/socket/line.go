package socket

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
)

// Bounds of what a server may send.
const (
	bufferSize = 512
	maxLine    = 64 << 10
	maxMessage = 8 << 20
)

// line reads the protocol off a connection.
type line struct {
	conn net.Conn
	r, w int
	buf  [bufferSize]byte
}

// fill reads more, once the buffer is empty.
func (l *line) fill() error {
	n, err := l.conn.Read(l.buf[:])
	l.r, l.w = 0, n
	if n > 0 {
		return nil
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return err
}

// readLine reads up to CR LF, without it.
func (l *line) readLine() (string, error) {
	var long []byte
	for {
		if l.r == l.w {
			if err := l.fill(); err != nil {
				return "", err
			}
		}
		have := l.buf[l.r:l.w]
		if i := bytes.IndexByte(have, '\n'); i >= 0 {
			l.r += i + 1
			have = have[:i]
			if long != nil {
				have = append(long, have...)
			}
			return string(bytes.TrimSuffix(have, []byte("\r"))), nil
		}
		long = append(long, have...)
		l.r = l.w
		if len(long) > maxLine {
			return "", errors.New("a line of the server is too long")
		}
	}
}

// readBody reads n bytes and the CR LF behind them.
func (l *line) readBody(n int) ([]byte, error) {
	b := make([]byte, n+2)
	k := copy(b, l.buf[l.r:l.w])
	l.r += k
	if _, err := io.ReadFull(l.conn, b[k:]); err != nil {
		return nil, err
	}
	return b[:n:n], nil
}

// message is one MSG or HMSG.
type message struct {
	subject string
	sid     int
	status  string // of the header, "" without
	data    []byte
}

// readMessage reads what follows the words of "MSG subject sid [reply] size",
// or of "HMSG subject sid [reply] header-size size".
func (l *line) readMessage(text string) (message, error) {
	var m message
	f := strings.Fields(text)
	headers := f[0] == "HMSG"
	least := 4
	if headers {
		least = 5
	}
	if len(f) < least || len(f) > least+1 {
		return m, fmt.Errorf("the server sent %.100q", text)
	}
	size, err := strconv.Atoi(f[len(f)-1])
	if err != nil || size < 0 || size > maxMessage {
		return m, fmt.Errorf("the server sent %.100q", text)
	}
	if m.sid, err = strconv.Atoi(f[2]); err != nil {
		return m, fmt.Errorf("the server sent %.100q", text)
	}
	m.subject = f[1]
	if m.data, err = l.readBody(size); err != nil || !headers {
		return m, err
	}
	n, err := strconv.Atoi(f[len(f)-2])
	if err != nil || n < 0 || n > size {
		return m, fmt.Errorf("the server sent %.100q", text)
	}
	status, _, _ := strings.Cut(strings.TrimPrefix(string(m.data[:n]), "NATS/1.0"), "\r\n")
	m.status, m.data = strings.TrimSpace(status), m.data[n:]
	return m, nil
}
