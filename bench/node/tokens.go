package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/rind-project/rind/internal/network/report"
	"github.com/rind-project/rind/internal/network/report/reporttest"
)

const (
	tokensTaps  = 50
	tokensEvery = time.Second
	tokensPart  = 15 * time.Second // with and without the flood each
	floodConns  = 200
	floodOpens  = 3 * time.Second // until the connections are there: they are kept, and opening them is not what is measured
)

// measureTokens lets taps report, and then one core send bad tokens over 200
// kept connections meanwhile, from a process of its own.
func measureTokens(ctx context.Context, e *engine, bin string) error {
	s, err := startServer(ctx, e, bin, "tokens", tokensTaps)
	if err != nil {
		return err
	}
	defer func() { _ = s.stop() }()
	fmt.Printf("tokens: %d taps with a report of 150 flows every %s, %s without and with bad tokens over %d connections\n", tokensTaps, tokensEvery, tokensPart, floodConns)
	limited, cancel := context.WithCancel(ctx)
	defer cancel()
	load := &steady{s: s, size: reporttest.Size{Flows: 150, DNS: 15, TLS: 9}, every: tokensEvery}
	done := make(chan error, 1)
	go func() { done <- load.run(limited) }()
	time.Sleep(5 * time.Second)
	load.p99()
	time.Sleep(tokensPart)
	without := load.p99()
	opened := time.AfterFunc(floodOpens, func() { load.p99() })
	defer opened.Stop()
	rate, err := floodFrom(ctx, s.url)
	if err != nil {
		return err
	}
	with := load.p99()
	cancel()
	if err := <-done; err != nil {
		return err
	}
	fmt.Printf("RESULT name=tokens-rate ours=%.0f limit=0 ratio=0\n", rate)
	fmt.Printf("RESULT name=tokens ours=%.2fms limit=%.2fms ratio=%.3f\n", milli(with), milli(without), milli(with)/milli(without))
	return nil
}

func milli(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// floodFrom runs this program again as the one that floods, and returns how
// many requests a second it made.
func floodFrom(ctx context.Context, url string) (float64, error) {
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	cmd := exec.CommandContext(ctx, self, "-flood", url)
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.Output()
	if err != nil {
		return 0, fmt.Errorf("sending bad tokens: %w", err)
	}
	return strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
}

// flood sends bad tokens as fast as one core can: names of taps that are there
// with other secrets, and names that are not.
func flood(ctx context.Context, url string) error {
	runtime.GOMAXPROCS(1)
	ctx, cancel := context.WithTimeout(ctx, floodOpens+tokensPart)
	defer cancel()
	http1 := client(floodConns)
	var sent, other atomic.Int64
	var working sync.WaitGroup
	start := time.Now()
	for i := range floodConns {
		working.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				token := fmt.Sprintf("rindtap_tap%d_%064x", (i*7919+n)%(2*tokensTaps), n)
				status, err := refused(ctx, http1, url, token)
				if err != nil {
					continue
				}
				sent.Add(1)
				if status != http.StatusUnauthorized {
					other.Add(1)
				}
			}
		})
	}
	working.Wait()
	fmt.Fprintf(os.Stderr, "  %d bad tokens, %d of them answered with another status than 401\n", sent.Load(), other.Load())
	if sent.Load() == 0 {
		return errors.New("nothing was answered")
	}
	fmt.Printf("%.0f\n", float64(sent.Load())/time.Since(start).Seconds())
	return nil
}

func refused(ctx context.Context, http1 *http.Client, url, token string) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, http.NoBody)
	if err != nil {
		return 0, err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", report.ContentType)
	resp, err := http1.Do(req)
	if err != nil {
		return 0, err
	}
	defer func() { _ = resp.Body.Close() }()
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, err
}

// send delivers a body as a tap does: what is to wait is sent again.
func (l *steady) send(ctx context.Context, http1 *http.Client, token string, body []byte) error {
	err := post(ctx, http1, l.s.url, token, body, func(retryAfter time.Duration) {
		l.waited.Add(1)
		time.Sleep(retryAfter + rand.N(retryAfter/4+time.Millisecond)) // as a tap does
	})
	if err == nil {
		l.committed.Add(1)
	}
	return err
}
