package web_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/rind-project/rind/internal/web/browsertest"
)

// browser is a tab that knows the pages.
type browser struct{ *browsertest.Browser }

func newBrowser(t *testing.T) browser {
	t.Helper()
	return browser{browsertest.New(t)}
}

func (b browser) logIn(t *testing.T, w *world, name string) {
	t.Helper()
	b.Do(t, chromedp.Navigate(w.URL+"/flows?range=6h"), chromedp.WaitVisible(chromedp.CSS("#password")),
		chromedp.SendKeys(chromedp.CSS("#name"), name), chromedp.SendKeys(chromedp.CSS("#password"), password+"\r"), chromedp.WaitVisible(chromedp.CSS("nav .places")))
	at := browsertest.Ask(t, b.Browser, chromedp.Location())
	if !strings.HasSuffix(at, "/flows?range=6h") {
		t.Errorf("after the login the browser is at %s, not where it wanted to go", at)
	}
}

// eventually waits until a script says true.
func (b browser) eventually(t *testing.T, what, script string) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if browsertest.Eval[bool](t, b.Browser, script) {
			return
		}
	}
	t.Fatalf("%s: it did not happen within 10 s", what)
}

// shoot keeps a picture of the page when RIND_SHOTS names a folder.
func (b browser) shoot(t *testing.T, name string) {
	t.Helper()
	dir := os.Getenv("RIND_SHOTS")
	if dir == "" {
		return
	}
	png := browsertest.Ask(t, b.Browser, chromedp.FullScreenshot(100))
	if err := os.WriteFile(filepath.Join(dir, name+".png"), png, 0o600); err != nil {
		t.Fatal(err)
	}
}

const overflow = `(() => {
  const wide = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= wide) return [];
  return [...document.querySelectorAll("body *")].filter((e) => e.getBoundingClientRect().right > wide + 1 && !e.closest(".scroll, .places, nav"))
    .map((e) => e.tagName + "." + e.className + " " + Math.round(e.getBoundingClientRect().right)).concat("document " + document.documentElement.scrollWidth);
})()`

// overlaps lists controls and headings that lie on one another.
const overlaps = `(() => {
  const all = [...document.querySelectorAll("h1, h2, button, .segments a, input:not([type=hidden]), select, .who .name, .places a")].filter((e) => e.checkVisibility() && !e.closest(".scroll"));
  const boxes = all.map((e) => [e, e.getBoundingClientRect()]).filter(([, r]) => r.width > 0);
  const out = [];
  boxes.forEach(([a, p], i) => boxes.slice(i + 1).forEach(([b, q]) => {
    if (a.contains(b) || b.contains(a)) return;
    if (Math.min(p.right, q.right) - Math.max(p.left, q.left) > 1 && Math.min(p.bottom, q.bottom) - Math.max(p.top, q.top) > 1)
      out.push(a.outerHTML.slice(0, 60) + " / " + b.outerHTML.slice(0, 60));
  }));
  return out;
})()`

// nameless lists controls without a name for a screen reader.
const nameless = `[...document.querySelectorAll("a, button, input:not([type=hidden]), select")].filter((e) => e.checkVisibility() &&
  !(e.textContent.trim() || e.getAttribute("aria-label") || e.labels?.length)).map((e) => e.outerHTML.slice(0, 100))`

var visited = []struct{ name, path string }{
	{"overview", "/"}, {"hosts", "/hosts"}, {"host", "/hosts/web-01"}, {"jobs", "/jobs"}, {"events", "/events"}, {"job", "/jobs/" + jid(2)}, {"job-running", "/jobs/" + jid(1)},
	{"flows", "/flows"}, {"dns", "/dns?range=24h"}, {"tls", "/tls"}, {"records", "/records"}, {"record-http", "/records/http"}, {"record-wifi", "/records/wifi_networks"}, {"record-filter", "/records/dhcp?mac=x"}, {"taps", "/taps"}, {"enrollment", "/enrollment"}, {"account", "/account"},
	{"users", "/users"}, {"audit", "/audit"},
}

var looks = []struct {
	width int64
	theme string
}{{1600, "light"}, {1600, "dark"}, {390, "light"}, {390, "dark"}}

func TestPagesInBrowser(t *testing.T) {
	t.Parallel()
	b := newBrowser(t)
	full, empty := newWorld(t), newWorld(t)
	full.populate(time.Now())
	for _, w := range []struct {
		name string
		*world
	}{{"full", full}, {"empty", empty}} {
		for _, l := range looks {
			b.Look(t, l.width, l.theme)
			b.Do(t, chromedp.Navigate(w.URL+"/logout-not-there"))
			b.Console()
			b.visit(t, w.world, "/login", fmt.Sprintf("login-%s-%d-%s", w.name, l.width, l.theme))
			break
		}
		b.logIn(t, w.world, "the-admin")
		for _, l := range looks {
			b.Look(t, l.width, l.theme)
			for _, p := range visited {
				if w.name == "empty" && (p.name == "host" || strings.HasPrefix(p.name, "job-") || p.name == "job") {
					continue
				}
				b.visit(t, w.world, p.path, fmt.Sprintf("%s-%s-%d-%s", p.name, w.name, l.width, l.theme))
			}
		}
	}
}

// visit loads a page and checks what holds for every page.
func (b browser) visit(t *testing.T, w *world, path, name string) {
	t.Helper()
	b.Do(t, chromedp.Navigate(w.URL+path), chromedp.WaitReady(chromedp.CSS("#main")))
	if path == "/" && w.web.HasVendor() && len(w.traffic.points) > 0 {
		b.Do(t, chromedp.WaitVisible(chromedp.CSS("#traffic canvas")))
	}
	if said := b.Console(); len(said) > 0 {
		t.Errorf("%s: the console says %q", name, said)
	}
	if wide := browsertest.Eval[[]string](t, b.Browser, overflow); len(wide) > 0 {
		t.Errorf("%s: wider than the window: %q", name, wide)
	}
	if over := browsertest.Eval[[]string](t, b.Browser, overlaps); len(over) > 0 {
		t.Errorf("%s: on one another: %q", name, over)
	}
	if mute := browsertest.Eval[[]string](t, b.Browser, nameless); len(mute) > 0 {
		t.Errorf("%s: controls without a name: %q", name, mute)
	}
	b.shoot(t, name)
}

func TestLiveInBrowser(t *testing.T) {
	t.Parallel()
	b := newBrowser(t)
	w := newWorld(t)
	if !w.web.HasVendor() {
		t.Skip("the browser libraries are not there: run make static")
	}
	now := time.Now()
	w.populate(now)
	b.Look(t, 1600, "light")
	b.logIn(t, w, "the-operator")

	b.Do(t, chromedp.Navigate(w.URL+"/"))
	b.eventually(t, "the page goes live", `document.querySelector("#live-switch").innerText.trim() === "Live"`)
	w.traffic.see("just-now.example.org")
	b.eventually(t, "a new name arrives", `document.querySelector("#names").innerText.includes("just-now.example.org")`)
	b.Do(t, chromedp.Click(chromedp.CSS("#live-switch")))
	b.eventually(t, "the page pauses", `document.querySelector("#live-switch").innerText.trim() === "Paused"`)

	b.Do(t, chromedp.Navigate(w.URL+"/jobs/"+jid(1)))
	b.eventually(t, "the page of a job goes live", `document.querySelector("#live-switch").innerText.trim() === "Live"`)
	w.fleet.answer(aReturn(1, "web-02", now, "2 upgraded\n", 0))
	b.eventually(t, "a return arrives", `document.querySelector(".returns").innerText.includes("web-02")`)
	b.eventually(t, "the summary follows", `document.querySelector("#summary").innerText.includes("3 targeted, 2 answered, 0 failed, 1 missing")`)
	w.fleet.answer(aReturn(1, "web-03", now, "<b>bold</b>\n", 1))
	b.eventually(t, "the job ends", `document.querySelector("#summary").innerText.includes("3 targeted, 3 answered, 1 failed, 0 missing")`)
	rows := browsertest.Eval[[]string](t, b.Browser, `[...document.querySelectorAll(".returns tbody tr th")].map((e) => e.innerText.trim())`)
	if want := []string{"web-01", "web-02", "web-03"}; !slices.Equal(rows, want) {
		t.Errorf("the rows are %q, want %q, each once", rows, want)
	}
	if n := browsertest.Eval[int](t, b.Browser, `document.querySelectorAll(".returns b").length`); n != 0 {
		t.Error("output became HTML")
	}
	b.shoot(t, "job-live")
	if said := b.Console(); len(said) > 0 {
		t.Errorf("the console says %q", said)
	}
}

// focused walks the page by the Tab key and tells what has the focus: its id or
// words, and whether a ring shows it.
const focused = `(() => {
  const e = document.activeElement, s = getComputedStyle(e);
  return {name: e.id || e.getAttribute("aria-label") || e.innerText.trim(), ring: s.outlineStyle !== "none" && parseFloat(s.outlineWidth) >= 2};
})()`

func TestKeyboardInBrowser(t *testing.T) {
	t.Parallel()
	b := newBrowser(t)
	w := newWorld(t)
	w.populate(time.Now())
	for _, l := range []int64{1600, 390} {
		b.Look(t, l, "dark")
		if l == 1600 {
			b.logIn(t, w, "the-operator")
		}
		b.Do(t, chromedp.Navigate(w.URL+"/jobs"), chromedp.WaitVisible(chromedp.CSS("#run-target")))
		var seen []string
		for range 40 {
			b.Do(t, chromedp.KeyEvent("\t"))
			at := browsertest.Eval[struct {
				Name string
				Ring bool
			}](t, b.Browser, focused)
			if at.Name != "" && !at.Ring && len(seen) > 0 {
				t.Errorf("%d px: %q has the focus and does not show it", l, at.Name)
			}
			seen = append(seen, at.Name)
			if at.Name == "Table of jobs" {
				break
			}
		}
		if seen[0] != "Skip to content" {
			t.Errorf("%d px: the first stop is %q", l, seen[0])
		}
		at := -1
		for _, want := range []string{"Overview", "Jobs", "Enrollment", "Account", "run-target", "run-function", "run-arg", "run-timeout", "Run", "Table of jobs"} {
			i := slices.Index(seen, want)
			if i <= at {
				t.Errorf("%d px: %q is not reached in its turn: %q", l, want, seen)
			}
			at = i
		}
	}
	b.Do(t, chromedp.Navigate(w.URL+"/jobs"), chromedp.WaitVisible(chromedp.CSS("#run-target")), chromedp.KeyEvent("\t"), chromedp.KeyEvent("\r"), chromedp.KeyEvent("\t"))
	if in := browsertest.Eval[bool](t, b.Browser, `document.querySelector("#main").contains(document.activeElement)`); !in {
		t.Error("the skip link does not lead into the content")
	}
	b.Do(t, chromedp.Navigate(w.URL+"/jobs"), chromedp.SendKeys(chromedp.CSS("#run-target"), "web-*"), chromedp.SendKeys(chromedp.CSS("#run-arg"), "uptime\r"), chromedp.WaitVisible(chromedp.CSS("#summary")))
	if got := w.fleet.requests(); len(got) != 1 || got[0].Target != "web-*" || !slices.Equal(got[0].Args, []string{"uptime"}) {
		t.Errorf("by keyboard the job was %+v", got)
	}
}
