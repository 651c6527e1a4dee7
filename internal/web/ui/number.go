// Package ui turns values into what a person reads on a page: sizes with units,
// times with their distance, names with their odd characters made visible.
// Nothing here makes HTML; escaping stays with html/template.
package ui

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// NoValue stands where there is nothing to show.
const NoValue = "–"

type number interface {
	~int | ~int64 | ~uint64 | ~uint32 | ~uint16 | ~int32
}

// Bytes writes a size with binary units and three significant digits: "1.46 MiB".
func Bytes[N number](n N) string {
	if n < 0 {
		return NoValue
	}
	return scaled(float64(n), 1024, []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"})
}

// BitRate writes bytes over a time as bits per second with decimal units, as
// network people do: "12.3 Mbit/s".
func BitRate[N number](bytes N, over time.Duration) string {
	if over <= 0 || bytes < 0 {
		return NoValue
	}
	return scaled(float64(bytes)*8/over.Seconds(), 1000, []string{"bit/s", "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s"})
}

func scaled(v, step float64, units []string) string {
	i := 0
	for math.Round(v) >= step && i < len(units)-1 {
		v /= step
		i++
	}
	prec := 0
	if i > 0 {
		switch {
		case v < 9.995:
			prec = 2
		case v < 99.95:
			prec = 1
		}
	}
	return strconv.FormatFloat(v, 'f', prec, 64) + " " + units[i]
}

// Count groups an integer's digits by three with a narrow no-break space.
func Count[N number](n N) string {
	s := fmt.Sprintf("%d", n)
	sign := ""
	if strings.HasPrefix(s, "-") {
		sign, s = "-", s[1:]
	}
	var b strings.Builder
	for i, c := range s {
		if i > 0 && (len(s)-i)%3 == 0 {
			b.WriteRune('\u202f')
		}
		b.WriteRune(c)
	}
	return sign + b.String()
}

// Percent writes a part of a whole. What is not zero never reads as zero, and
// what is not all never reads as all, because loss must be seen.
func Percent(part, whole uint64) string {
	if whole == 0 {
		return NoValue
	}
	p := float64(part) / float64(whole) * 100
	switch {
	case part == 0:
		return "0 %"
	case p < 0.01:
		return "< 0.01 %"
	case part < whole && p > 99.99:
		return "> 99.99 %"
	}
	return strconv.FormatFloat(p, 'f', 2, 64) + " %"
}
