package static_test

import (
	"math"
	"os"
	"regexp"
	"strconv"
	"testing"
)

// themes are the two values of each colour of the base style.
func themes(t *testing.T) map[string][2]string {
	t.Helper()
	css, err := os.ReadFile("base.css")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][2]string{}
	for _, m := range regexp.MustCompile(`--([a-z0-9-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\);`).FindAllStringSubmatch(string(css), -1) {
		out[m[1]] = [2]string{m[2], m[3]}
	}
	return out
}

// luminance is the relative luminance of WCAG 2.2.
func luminance(t *testing.T, hex string) float64 {
	t.Helper()
	sum := 0.0
	for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
		n, err := strconv.ParseUint(hex[1+2*i:3+2*i], 16, 8)
		if err != nil {
			t.Fatalf("%q is no colour: %v", hex, err)
		}
		v := float64(n) / 255
		if v <= 0.04045 {
			v /= 12.92
		} else {
			v = math.Pow((v+0.055)/1.055, 2.4)
		}
		sum += weight * v
	}
	return sum
}

func contrast(t *testing.T, a, b string) float64 {
	t.Helper()
	x, y := luminance(t, a), luminance(t, b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

func TestContrastOfKnownColours(t *testing.T) {
	t.Parallel()
	for _, x := range []struct {
		a, b string
		want float64
	}{{"#000000", "#ffffff", 21}, {"#777777", "#ffffff", 4.48}, {"#123456", "#123456", 1}} {
		if got := contrast(t, x.a, x.b); math.Abs(got-x.want) > 0.01 {
			t.Errorf("%s on %s: %.2f, want %.2f", x.a, x.b, got, x.want)
		}
	}
}

// TestContrast holds every pair that the pages use to level AA of WCAG 2.2:
// 4.5 for text (1.4.3), 3 for what is drawn (1.4.11).
func TestContrast(t *testing.T) {
	t.Parallel()
	colours := themes(t)
	if len(colours) < 15 {
		t.Fatalf("only %d colours found in base.css", len(colours))
	}
	for _, pair := range []struct {
		front string
		least float64
		backs []string
	}{
		{"text", 4.5, []string{"ground", "surface", "raised", "accent-soft", "warn-soft", "bad-soft"}},
		{"muted", 4.5, []string{"ground", "surface", "raised", "accent-soft", "warn-soft", "bad-soft"}},
		{"accent", 4.5, []string{"ground", "surface", "raised", "accent-soft", "warn-soft", "bad-soft"}},
		{"ok", 4.5, []string{"ground", "surface", "raised"}},
		{"warn", 4.5, []string{"ground", "surface", "raised", "warn-soft"}},
		{"bad", 4.5, []string{"ground", "surface", "raised", "bad-soft"}},
		{"on-accent", 4.5, []string{"accent"}},
		{"line-strong", 3, []string{"ground", "surface"}},
		{"series-1", 3, []string{"surface", "raised"}},
	} {
		for _, back := range pair.backs {
			for i, theme := range []string{"light", "dark"} {
				a, b := colours[pair.front][i], colours[back][i]
				if a == "" || b == "" {
					t.Fatalf("base.css has no %s or no %s", pair.front, back)
				}
				if got := contrast(t, a, b); got < pair.least {
					t.Errorf("%s: %s (%s) on %s (%s) has a contrast of %.2f, want %.1f", theme, pair.front, a, back, b, got, pair.least)
				}
			}
		}
	}
}
