package packettest

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"strings"
	"time"
)

// Query returns a DNS question.
func Query(id uint16, name string, typ uint16) []byte {
	b := make([]byte, 12)
	be.PutUint16(b, id)
	b[2], b[5] = 1, 1
	for label := range strings.SplitSeq(name, ".") {
		b = append(append(b, byte(len(label))), label...)
	}
	b = append(b, 0)
	return be.AppendUint16(be.AppendUint16(b, typ), 1)
}

// Answer returns the answer to Query with addresses (type A).
func Answer(id uint16, name string, typ uint16, addrs ...[4]byte) []byte {
	b := Query(id, name, typ)
	b[2], b[3] = 0x81, 0x80
	be.PutUint16(b[6:], uint16(len(addrs)))
	for _, a := range addrs {
		b = append(b, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4)
		b = append(b, a[:]...)
	}
	return b
}

// ClientHello returns the first record that the standard library's TLS client
// sends.
func ClientHello(name string, alpn ...string) []byte {
	client, server := net.Pipe()
	defer server.Close()
	go func() {
		c := tls.Client(client, &tls.Config{ServerName: name, NextProtos: alpn, MinVersion: tls.VersionTLS12})
		_ = c.HandshakeContext(context.Background()) // fails when the pipe closes
		client.Close()
	}()
	if err := server.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		panic(err)
	}
	head := make([]byte, 5)
	if _, err := io.ReadFull(server, head); err != nil {
		panic(err)
	}
	body := make([]byte, int(be.Uint16(head[3:])))
	if _, err := io.ReadFull(server, body); err != nil {
		panic(err)
	}
	return append(head, body...)
}
