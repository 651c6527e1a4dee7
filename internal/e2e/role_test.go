package e2e

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/miekg/dns"
)

// playRole is what the processes do that the tests start on the test network.
func playRole(role string, args []string) error {
	switch role {
	case "servers":
		return playServers()
	case "traffic":
		return playTraffic()
	case "burst":
		n, err := strconv.Atoi(os.Getenv("RIND_E2E_COUNT"))
		if err != nil {
			return err
		}
		return playBurst(os.Getenv("RIND_E2E_PORT"), n)
	}
	return fmt.Errorf("no such role, %v", args)
}

// playServers is a DNS server and an HTTPS server, until standard input ends.
func playServers() error {
	dns.HandleFunc("example.test.", func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg)
		m.SetReply(q)
		if q.Question[0].Name == "missing.example.test." {
			m.Rcode = dns.RcodeNameError
		} else {
			m.Answer = append(m.Answer, &dns.A{
				Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 60},
				A:   net.ParseIP(serverAddr),
			})
		}
		_ = w.WriteMsg(m)
	})
	for port := 9001; port <= 9003; port++ { // sinks for bursts
		sink, err := net.ListenPacket("udp", fmt.Sprintf("%s:%d", serverAddr, port))
		if err != nil {
			return err
		}
		go func() {
			for buf := make([]byte, 1500); ; {
				if _, _, err := sink.ReadFrom(buf); err != nil {
					return
				}
			}
		}()
	}
	failed := make(chan error, 4)
	for _, network := range []string{"udp", "tcp"} {
		go func() { failed <- dns.ListenAndServe(serverAddr+":53", network, nil) }()
	}
	cert, err := selfSigned("www.example.test")
	if err != nil {
		return err
	}
	web := &http.Server{
		Addr:      serverAddr + ":443",
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert}},
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write(make([]byte, 100_000))
		}),
		ReadHeaderTimeout: 10 * time.Second,
	}
	go func() { failed <- web.ListenAndServeTLS("", "") }()
	go func() { _, _ = io.Copy(io.Discard, os.Stdin); failed <- nil }()
	time.Sleep(300 * time.Millisecond)
	fmt.Println("ready")
	return <-failed
}

func selfSigned(name string) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}

// playTraffic asks names over UDP and TCP, fetches pages, and pings.
func playTraffic() error {
	for _, q := range []struct{ network, name string }{
		{"udp", "www.example.test."}, {"udp", "missing.example.test."}, {"tcp", "mail.example.test."},
	} {
		m := new(dns.Msg)
		m.SetQuestion(q.name, dns.TypeA)
		c := &dns.Client{Net: q.network, Timeout: 5 * time.Second}
		if _, _, err := c.Exchange(m, serverAddr+":53"); err != nil {
			return err
		}
	}
	for _, sni := range []string{"www.example.test", "shop.example.test"} {
		if err := fetch(sni); err != nil {
			return err
		}
	}
	return ping(3)
}

func fetch(sni string) error {
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true, ServerName: sni}, // the certificate is the test's own
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "tcp", serverAddr+":443")
		},
	}}
	resp, err := client.Get("https://" + sni + "/")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}

// ping sends ICMP echo requests (RFC 792) and waits for each answer.
func ping(n int) error {
	conn, err := net.ListenPacket("ip4:icmp", clientAddr)
	if err != nil {
		return err
	}
	defer conn.Close()
	dst := &net.IPAddr{IP: net.ParseIP(serverAddr)}
	buf := make([]byte, 1500)
	for seq := range n {
		msg := make([]byte, 64)
		msg[0] = 8 // echo request
		binary.BigEndian.PutUint16(msg[4:], 4711)
		binary.BigEndian.PutUint16(msg[6:], uint16(seq+1))
		binary.BigEndian.PutUint16(msg[2:], checksum(msg))
		if _, err := conn.WriteTo(msg, dst); err != nil {
			return err
		}
		_ = conn.SetReadDeadline(time.Now().Add(3 * time.Second))
		for {
			got, _, err := conn.ReadFrom(buf)
			if err != nil {
				return err
			}
			if got >= 8 && buf[0] == 0 { // echo reply
				break
			}
		}
	}
	return nil
}

func checksum(b []byte) uint16 {
	var sum uint32
	for i := 0; i+1 < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// playBurst sends n datagrams of 100 bytes to a port of the other host, from
// one port, so that they are one flow.
func playBurst(port string, n int) error {
	conn, err := net.Dial("udp", serverAddr+":"+port)
	if err != nil {
		return err
	}
	defer conn.Close()
	for range n {
		if _, err := conn.Write(make([]byte, 100)); err != nil {
			return err
		}
		time.Sleep(time.Millisecond)
	}
	return nil
}

// waitLine waits for a line that a process prints.
func waitLine(r io.Reader, want string) error {
	for sc := bufio.NewScanner(r); sc.Scan(); {
		if sc.Text() == want {
			return nil
		}
	}
	return errors.New("the process ended before it was " + want)
}
