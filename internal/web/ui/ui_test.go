package ui_test

import (
	"math"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/web/ui"
)

func TestNumbers(t *testing.T) {
	t.Parallel()
	for _, x := range []struct{ got, want string }{
		{ui.Bytes(0), "0 B"}, {ui.Bytes(1023), "1023 B"}, {ui.Bytes(1024), "1.00 KiB"}, {ui.Bytes(10<<20 + 1), "10.0 MiB"},
		{ui.Bytes(999 << 30), "999 GiB"}, {ui.Bytes(uint64(math.MaxUint64)), "16.0 EiB"}, {ui.Bytes(-1), "–"},
		{ui.BitRate(125_000, time.Second), "1.00 Mbit/s"}, {ui.BitRate(1, 8*time.Second), "1 bit/s"}, {ui.BitRate(124_999_990, 1000*time.Second), "1.00 Mbit/s"}, {ui.Bytes(1<<20 - 1), "1.00 MiB"}, {ui.BitRate(1, 0), "–"},
		{ui.Count(0), "0"}, {ui.Count(999), "999"}, {ui.Count(1000), "1\u202f000"}, {ui.Count(-1234567), "-1\u202f234\u202f567"},
		{ui.Percent(0, 0), "–"}, {ui.Percent(0, 9), "0 %"}, {ui.Percent(1, 1_000_000), "< 0.01 %"}, {ui.Percent(999_999, 1_000_000), "> 99.99 %"},
		{ui.Percent(1, 3), "33.33 %"}, {ui.Percent(7, 7), "100.00 %"},
		{ui.Took(870 * time.Microsecond), "870 µs"}, {ui.Took(1240 * time.Millisecond), "1.24 s"}, {ui.Took(69 * time.Second), "1 min 09 s"},
		{ui.Took(2*time.Hour + 5*time.Minute), "2 h 05 min"}, {ui.Took(-1), "–"},
	} {
		if x.got != x.want {
			t.Errorf("got %q, want %q", x.got, x.want)
		}
	}
}

func TestAgo(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for d, want := range map[time.Duration]string{
		0: "now", 12 * time.Second: "12 s ago", 61 * time.Second: "1 min ago", 47 * time.Hour: "47 h ago", 49 * time.Hour: "2 d ago",
		-time.Second: "now", -5 * time.Minute: "in 5 min",
	} {
		if got := ui.Ago(now.Add(-d), now); got != want {
			t.Errorf("%s: %q, want %q", d, got, want)
		}
	}
	if got := ui.Ago(time.Time{}, now); got != "never" {
		t.Errorf("no time is %q", got)
	}
}

func TestClock(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 0, 0, 5, 0, time.UTC)
	east := time.FixedZone("", 3600)
	for _, x := range []struct {
		at   time.Time
		want string
	}{
		{now.Add(-4 * time.Second), "00:00:01"}, {now.Add(-6 * time.Second), "2026-02-28 23:59:59"}, {now.AddDate(-1, 0, 0), "2025-03-01 00:00:05"},
		{now.In(east), "00:00:05"}, {time.Time{}, ""},
	} {
		if got := ui.Clock(x.at, now.In(east)); got != x.want {
			t.Errorf("%s: %q, want %q", x.at, got, x.want)
		}
	}
}

func TestVisible(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"plain": "plain", "zürich 東京": "zürich 東京", "a\x00b\x1b[2J\x7f": "a␀b␛[2J␡", "\u202egnp.exe": `\u{202e}gnp.exe`,
		"\xff\xfe": `\xff\xfe`, "a\u200bb\u2028": `a\u{200b}b\u{2028}`, "line\nnext\t": "line␊next␉",
	} {
		if got := ui.Visible(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	if got := ui.VisibleText("a\r\n\tb\r\x1b"); got != "a\n\tb␍␛" {
		t.Errorf("text: %q", got)
	}
}

func FuzzVisible(f *testing.F) {
	for _, s := range []string{"", "www.example.org", "\x00\x1f\x7f\x80\xff", "\u202e\u200b\ufeff", "\U000e0041"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := ui.Visible(s)
		if !utf8.ValidString(got) {
			t.Fatalf("%q became %q, which is not UTF-8", s, got)
		}
		if i := strings.IndexFunc(got, func(r rune) bool { return unicode.Is(unicode.C, r) }); i >= 0 {
			t.Fatalf("%q became %q, with something invisible at %d", s, got, i)
		}
		if ui.Visible(got) != got {
			t.Fatalf("%q changes again", got)
		}
		kept, left := ui.Cut(s, 7)
		if len(kept)+left != len(s) || len(kept) > 7 || !strings.HasPrefix(s, kept) {
			t.Fatalf("cut of %q: %q and %d", s, kept, left)
		}
	})
}

func TestWindow(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, x := range []struct {
		query    string
		from, to string // "" when an error is expected
		live     bool
	}{
		{"", "2026-03-01 11:00:00 UTC", "2026-03-01 12:00:00 UTC", true},
		{"range=7d", "2026-02-22 12:00:00 UTC", "2026-03-01 12:00:00 UTC", true},
		{"from=2026-02-01T10:30", "2026-02-01 10:30:00 UTC", "2026-03-01 12:00:00 UTC", false},
		{"to=2026-02-01T10:30", "2026-02-01 09:30:00 UTC", "2026-02-01 10:30:00 UTC", false},
		{"from=2026-02-01T10:30:05&to=2026-02-02", "2026-02-01 10:30:05 UTC", "2026-02-02 00:00:00 UTC", false},
		{"from=2026-02-01T10:30:00%2B02:00&to=2026-02-02", "2026-02-01 08:30:00 UTC", "2026-02-02 00:00:00 UTC", false},
		{"range=1y", "", "", true}, {"from=yesterday", "", "", true}, {"from=2026-02-02&to=2026-02-01", "", "", true},
		{"from=2020-02-02&to=2026-02-01", "", "", true}, {"from=99999-01-01", "", "", true},
	} {
		q, err := url.ParseQuery(x.query)
		if err != nil {
			t.Fatal(err)
		}
		w, err := ui.ParseWindow(q, now)
		if x.from == "" {
			if !errs.Is(err, errs.Invalid) || w.Span() != time.Hour {
				t.Errorf("%s: %v with %s, want an error and the default", x.query, err, w.Span())
			}
			continue
		}
		if err != nil || ui.Exact(w.From) != x.from || ui.Exact(w.To) != x.to || w.Live() != x.live {
			t.Errorf("%s: %s to %s live %t, %v", x.query, ui.Exact(w.From), ui.Exact(w.To), w.Live(), err)
		}
		again, err := ui.ParseWindow(w.Query(), now)
		if err != nil || again.Live() != w.Live() || again.Span().Round(time.Minute) != w.Span().Round(time.Minute) {
			t.Errorf("%s: its own query %v leads to %+v, %v", x.query, w.Query(), again, err)
		}
	}
}

func TestBucket(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for _, span := range []time.Duration{time.Minute, 15 * time.Minute, time.Hour, 6 * time.Hour, 24 * time.Hour, 7 * 24 * time.Hour, 31 * 24 * time.Hour, 366 * 24 * time.Hour} {
		b := ui.Window{From: now.Add(-span), To: now}.Bucket()
		if n := span / b; b < time.Minute || n > 180 {
			t.Errorf("%s: buckets of %s are %d", span, b, n)
		}
	}
}

func TestWords(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{"client_port": "Client port", "mac": "MAC", "mail_from": "Mail from", "drones_id": "Drones ID", "addr": "Address", "": ""} {
		if got := ui.Words(name); got != want {
			t.Errorf("Words(%q) is %q, want %q", name, got, want)
		}
	}
}
