package render

import (
	"strconv"
	"time"
)

// Bytes writes a size with a binary unit: "0 B", "1.5 KiB", "12 MiB".
func Bytes[T ~int | ~int64 | ~uint64](n T) string {
	const units = "KMGTPE"
	if n < 1024 {
		return strconv.FormatInt(int64(n), 10) + " B"
	}
	f, unit := float64(n)/1024, 0
	for f >= 1023.95 && unit < len(units)-1 {
		f, unit = f/1024, unit+1
	}
	digits := 1
	if f >= 99.95 {
		digits = 0
	}
	return strconv.FormatFloat(f, 'f', digits, 64) + " " + units[unit:unit+1] + "iB"
}

// Ago says how long before now a moment lies: "now", "12s ago", "3m ago",
// "in 5d"; "-" for the zero time.
func Ago(now, t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	switch d := now.Sub(t); {
	case d.Abs() < time.Second:
		return "now"
	case d > 0:
		return Duration(d) + " ago"
	}
	return "in " + Duration(t.Sub(now))
}

// Duration writes a length of time in its largest whole unit.
func Duration(d time.Duration) string {
	switch {
	case d == 0:
		return "0s"
	case d < time.Millisecond:
		return strconv.FormatInt(d.Microseconds(), 10) + "µs"
	case d < time.Second:
		return strconv.FormatInt(d.Milliseconds(), 10) + "ms"
	case d < time.Minute:
		return strconv.Itoa(int(d/time.Second)) + "s"
	case d < time.Hour:
		return strconv.Itoa(int(d/time.Minute)) + "m"
	case d < 48*time.Hour:
		return strconv.Itoa(int(d/time.Hour)) + "h"
	}
	return strconv.Itoa(int(d/(24*time.Hour))) + "d"
}

// Clock writes a moment of the last day as a time, an older one with its date;
// always UTC, "-" for the zero time.
func Clock(now, t time.Time) string {
	switch t = t.UTC(); {
	case t.IsZero():
		return "-"
	case now.Sub(t).Abs() < 24*time.Hour:
		return t.Format("15:04:05")
	}
	return t.Format("2006-01-02 15:04")
}
