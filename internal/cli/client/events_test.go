package client

import (
	"errors"
	"strings"
	"testing"
)

func collect(t testing.TB, stream string, stopAfter int) (all []string, err error) {
	t.Helper()
	err = readEvents(strings.NewReader(stream), func(e Event) (bool, error) {
		all = append(all, e.Name+"="+string(e.Data))
		return len(all) != stopAfter, nil
	})
	return all, err
}

func TestReadEvents(t *testing.T) {
	t.Parallel()
	const stream = ": open\n\nevent: return\ndata: {\"a\":1}\n\n: keep-alive\n\ndata:x\ndata: y\n\nevent: only\n\nevent: done\r\ndata: {}\r\n\r\nevent: cut\ndata: 1\n"
	all, err := collect(t, stream, 0)
	if got := strings.Join(all, " "); got != "return={\"a\":1} =x\ny done={}" || !errors.Is(err, ErrCut) {
		t.Errorf("got %q, %v", got, err)
	}
	if all, err := collect(t, stream, 1); len(all) != 1 || err != nil {
		t.Errorf("after the first: %q, %v", all, err)
	}
}

func TestAnEventTooLargeIsRefused(t *testing.T) {
	t.Parallel()
	if all, err := collect(t, "data: "+strings.Repeat("x", maxEvent)+"\n\n", 0); err == nil || errors.Is(err, ErrCut) || len(all) > 0 {
		t.Errorf("got %d events, %v", len(all), err)
	}
}

func FuzzReadEvents(f *testing.F) {
	f.Add("event: a\ndata: b\n\n")
	f.Add("data\n\n:\n\r\n")
	f.Fuzz(func(t *testing.T, stream string) {
		all, err := collect(t, stream, 0)
		if err == nil {
			t.Fatal("a stream without an end ended well")
		}
		if len(all) > strings.Count(stream, "\n")/2+1 {
			t.Fatalf("%d events out of %q", len(all), stream)
		}
	})
}

func TestParseServer(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"https://a:8443": "https://a:8443", "https://a:8443/": "https://a:8443", "a:8443": "https://a:8443", "https://[::1]:8443": "https://[::1]:8443",
		"http://a": "", "https://": "", "https://a/x": "", "https://u@a": "", "https://a?x": "", "": "", "ftp://a": "",
	} {
		if got, err := ParseServer(in); got != want || (err == nil) != (want != "") {
			t.Errorf("%q is %q (%v), want %q", in, got, err, want)
		}
	}
}
