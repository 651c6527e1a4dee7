package database_test

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/base/database/databasetest"
)

func TestTimesAndAddresses(t *testing.T) {
	t.Parallel()
	times := []time.Time{{}, time.UnixMicro(1), time.UnixMicro(-1), time.Date(2026, 2, 29, 23, 59, 59, 999_999_000, time.FixedZone("x", 3600)),
		time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)}
	addrs := []string{"", "0.0.0.0", "10.1.2.3", "255.255.255.255", "::", "::1", "fe80::1", "2001:db8::ff", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"}
	databasetest.Each(t, things, func(t *testing.T, db *database.DB) {
		t.Parallel()
		ctx := t.Context()
		for i, want := range times {
			id := fmt.Sprintf("time %d", i)
			if _, err := db.Exec(ctx, `INSERT INTO things (id, n) VALUES ($1, $2)`, id, database.Micros(want)); err != nil {
				t.Fatal(err)
			}
			var us int64
			if err := db.QueryRow(ctx, `SELECT n FROM things WHERE id = $1`, id).Scan(&us); err != nil {
				t.Fatal(err)
			}
			if got := database.FromMicros(us); !got.Equal(want) || got.IsZero() != want.IsZero() {
				t.Errorf("%v came back as %v", want, got)
			}
		}
		for i, text := range addrs {
			var want netip.Addr
			if text != "" {
				want = netip.MustParseAddr(text)
			}
			id := fmt.Sprintf("addr %d", i)
			if _, err := db.Exec(ctx, `INSERT INTO things (id, n, data) VALUES ($1, 0, $2)`, id, database.Addr16(want)); err != nil {
				t.Fatal(err)
			}
			var b []byte
			if err := db.QueryRow(ctx, `SELECT data FROM things WHERE id = $1`, id).Scan(&b); err != nil {
				t.Fatal(err)
			}
			if got := database.AddrFrom16(b); got != want {
				t.Errorf("%v came back as %v", want, got)
			}
		}
		for prefix, want := range map[string]int{
			"10.0.0.0/8": 1, "0.0.0.0/0": 3, "10.1.2.3/32": 1, "10.1.2.2/31": 1, "10.1.2.4/30": 0,
			"::/0": 8, "fe80::/10": 1, "2001:db8::/32": 1, "::/127": 2, "ffff::/16": 1,
		} {
			first, last := database.PrefixRange(netip.MustParsePrefix(prefix))
			var n int
			if err := db.QueryRow(ctx, `SELECT COUNT(*) FROM things WHERE data BETWEEN $1 AND $2`, first, last).Scan(&n); err != nil || n != want {
				t.Errorf("%s holds %d addresses, %v; want %d", prefix, n, err, want)
			}
		}
	})
}

func TestText(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"": "", "plain": "plain", "grün": "grün", "a\x00b": "a\uFFFDb", "a\xff\xfeb": "a\uFFFDb", "\xc0\x80": "\uFFFD",
	} {
		if got := database.Text(in); got != want {
			t.Errorf("Text(%q) = %q, want %q", in, got, want)
		}
	}
}

// FuzzText checks that whatever Text returns is valid UTF-8 without NUL, and is
// its own Text.
func FuzzText(f *testing.F) {
	for _, s := range []string{"", "a", "\x00", "\xff", "\xed\xa0\x80", "\U0010FFFF", "'; --"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := database.Text(s)
		if bytes.ContainsRune([]byte(got), 0) || got != string([]rune(got)) || database.Text(got) != got {
			t.Errorf("Text(%q) = %q", s, got)
		}
	})
}

func TestNewID(t *testing.T) {
	t.Parallel()
	ids := make([]string, 1000)
	for i := range ids {
		ids[i] = database.NewID()
	}
	if !slices.IsSorted(ids) || len(slices.Compact(ids)) != 1000 || len(ids[0]) != 36 {
		t.Error("ids do not sort by the time they were made, or repeat")
	}
}

func TestAddrFrom16Refuses(t *testing.T) {
	t.Parallel()
	for _, b := range [][]byte{nil, {}, {10, 0, 0, 1}, make([]byte, 17)} {
		if a := database.AddrFrom16(b); a.IsValid() {
			t.Errorf("%v is an address: %v", b, a)
		}
	}
	if first, last := database.PrefixRange(netip.Prefix{}); first != nil || last != nil {
		t.Error("no prefix has a range")
	}
}
