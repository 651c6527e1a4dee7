package config

import (
	"math"
	"testing"
	"testing/quick"
)

func TestParseSize(t *testing.T) {
	t.Parallel()
	tests := map[string]Size{
		"0": 0, "1500": 1500, "12B": 12, "1kB": 1000, "1KB": 1000, "1MB": 1_000_000, "64MiB": 64 << 20, "64mib": 64 << 20,
		"2 GiB": 2 << 30, "3GB": 3_000_000_000, "1TiB": 1 << 40, "1TB": 1_000_000_000_000, "9223372036854775807": math.MaxInt64,
	}
	for text, want := range tests {
		if got, err := ParseSize(text); err != nil || got != want {
			t.Errorf("%q: got %d, %v, want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "MiB", "-1", "+1", "1.5MiB", "64M", "64Mi", "64 M iB", "1e3", "9223372036854775808", "8388608TiB", "0x10", " ", "1 1"} {
		if got, err := ParseSize(text); err == nil {
			t.Errorf("%q: got %d, want an error", text, got)
		}
	}
}

func TestSizeString(t *testing.T) {
	t.Parallel()
	tests := map[Size]string{0: "0", -5: "-5", 1500: "1500", 1000: "1kB", KiB: "1KiB", 64 * MiB: "64MiB", MB: "1MB", 3 * TiB: "3TiB", 1_024_000: "1000KiB"}
	for size, want := range tests {
		if got := size.String(); got != want {
			t.Errorf("%d: got %q, want %q", int64(size), got, want)
		}
	}
	exact := func(n int64, shift uint8) bool {
		size := Size(n&math.MaxInt64) >> (shift % 50) << (shift % 30)
		if size < 0 {
			return true
		}
		back, err := ParseSize(size.String())
		return err == nil && back == size
	}
	if err := quick.Check(exact, nil); err != nil {
		t.Error(err)
	}
}
