package web_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// browser is a tab of a real browser that notes whatever its console says.
type browser struct {
	ctx  context.Context
	mu   sync.Mutex
	said []string
}

// chromium finds the browser or skips, plainly.
func chromium(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("the browser is left out of short tests")
	}
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if file, err := exec.LookPath(name); err == nil {
			return file
		}
	}
	t.Skip("no chromium on this machine: pages are not looked at in a browser (Debian: apt-get install chromium)")
	return ""
}

func newBrowser(t *testing.T) *browser {
	t.Helper()
	opts := []chromedp.ExecAllocatorOption{
		chromedp.ExecPath(chromium(t)), chromedp.UserDataDir(t.TempDir()), chromedp.NoSandbox, chromedp.Headless, chromedp.DisableGPU, chromedp.NoFirstRun,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-sync", true), chromedp.Flag("disable-dev-shm-usage", true), chromedp.Flag("ignore-certificate-errors", true),
		chromedp.Flag("hide-scrollbars", true),
	}
	alloc, cancelAlloc := chromedp.NewExecAllocator(context.Background(), opts...)
	ctx, cancel := chromedp.NewContext(alloc)
	ctx, cancelTime := context.WithTimeout(ctx, 4*time.Minute)
	t.Cleanup(func() { cancelTime(); cancel(); cancelAlloc() })
	b := &browser{ctx: ctx}
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("starting chromium: %v", err)
	}
	if err := chromedp.Listen(ctx, b.listen); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *browser) listen(e any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := e.(type) {
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError || e.Entry.Level == log.EntryLevelWarning {
			b.said = append(b.said, fmt.Sprintf("%s: %s %s", e.Entry.Source, e.Entry.Text, e.Entry.URL))
		}
	case *runtime.EventExceptionThrown:
		b.said = append(b.said, "exception: "+e.ExceptionDetails.Text)
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeWarning {
			for _, a := range e.Args {
				b.said = append(b.said, "console: "+string(a.Value)+a.Description)
			}
		}
	}
}

// console takes what the console said since the last time.
func (b *browser) console() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	said := b.said
	b.said = nil
	return said
}

func (b *browser) run(t *testing.T, actions ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 20*time.Second)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		t.Fatal(err)
	}
}

// look sets width and theme as a person's device would.
func (b *browser) look(t *testing.T, width int64, theme string) {
	t.Helper()
	height := int64(900)
	if width < 600 {
		height = 844
	}
	if _, err := chromedp.Call(b.ctx, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: width, Height: height, DeviceScaleFactor: 1, Mobile: width < 600}); err != nil {
		t.Fatal(err)
	}
	media := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: theme}}}
	if _, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, media); err != nil {
		t.Fatal(err)
	}
}

func (b *browser) logIn(t *testing.T, w *world, name string) {
	t.Helper()
	b.run(t, chromedp.Navigate(w.URL+"/flows?range=6h"), chromedp.WaitVisible(chromedp.CSS("#password")),
		chromedp.SendKeys(chromedp.CSS("#name"), name), chromedp.SendKeys(chromedp.CSS("#password"), password+"\r"), chromedp.WaitVisible(chromedp.CSS("nav .places")))
	at := ask(t, b, chromedp.Location())
	if !strings.HasSuffix(at, "/flows?range=6h") {
		t.Errorf("after the login the browser is at %s, not where it wanted to go", at)
	}
}

// ask runs one action for its answer.
func ask[T any](t *testing.T, b *browser, a chromedp.Action[T]) T {
	t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 20*time.Second)
	defer cancel()
	v, err := chromedp.Run(ctx, a)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// eval runs a script from the outside, which the page's policy does not bind.
func eval[T any](t *testing.T, b *browser, script string) T {
	t.Helper()
	return ask(t, b, chromedp.Evaluate[T](script))
}

// eventually waits until a script says true.
func (b *browser) eventually(t *testing.T, what, script string) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if eval[bool](t, b, script) {
			return
		}
	}
	t.Fatalf("%s: it did not happen within 10 s", what)
}

// shoot keeps a picture of the page when RIND_SHOTS names a folder.
func (b *browser) shoot(t *testing.T, name string) {
	t.Helper()
	dir := os.Getenv("RIND_SHOTS")
	if dir == "" {
		return
	}
	png := ask(t, b, chromedp.FullScreenshot(100))
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
			b.look(t, l.width, l.theme)
			b.run(t, chromedp.Navigate(w.URL+"/logout-not-there"))
			b.console()
			b.visit(t, w.world, "/login", fmt.Sprintf("login-%s-%d-%s", w.name, l.width, l.theme))
			break
		}
		b.logIn(t, w.world, "the-admin")
		for _, l := range looks {
			b.look(t, l.width, l.theme)
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
func (b *browser) visit(t *testing.T, w *world, path, name string) {
	t.Helper()
	b.run(t, chromedp.Navigate(w.URL+path), chromedp.WaitReady(chromedp.CSS("#main")))
	if path == "/" && w.web.HasVendor() && len(w.traffic.points) > 0 {
		b.run(t, chromedp.WaitVisible(chromedp.CSS("#traffic canvas")))
	}
	if said := b.console(); len(said) > 0 {
		t.Errorf("%s: the console says %q", name, said)
	}
	if wide := eval[[]string](t, b, overflow); len(wide) > 0 {
		t.Errorf("%s: wider than the window: %q", name, wide)
	}
	if over := eval[[]string](t, b, overlaps); len(over) > 0 {
		t.Errorf("%s: on one another: %q", name, over)
	}
	if mute := eval[[]string](t, b, nameless); len(mute) > 0 {
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
	b.look(t, 1600, "light")
	b.logIn(t, w, "the-operator")

	b.run(t, chromedp.Navigate(w.URL+"/"))
	b.eventually(t, "the page goes live", `document.querySelector("#live-switch").innerText.trim() === "Live"`)
	w.traffic.see("just-now.example.org")
	b.eventually(t, "a new name arrives", `document.querySelector("#names").innerText.includes("just-now.example.org")`)
	b.run(t, chromedp.Click(chromedp.CSS("#live-switch")))
	b.eventually(t, "the page pauses", `document.querySelector("#live-switch").innerText.trim() === "Paused"`)

	b.run(t, chromedp.Navigate(w.URL+"/jobs/"+jid(1)))
	b.eventually(t, "the page of a job goes live", `document.querySelector("#live-switch").innerText.trim() === "Live"`)
	w.fleet.answer(aReturn(1, "web-02", now, "2 upgraded\n", 0))
	b.eventually(t, "a return arrives", `document.querySelector(".returns").innerText.includes("web-02")`)
	b.eventually(t, "the summary follows", `document.querySelector("#summary").innerText.includes("3 targeted, 2 answered, 0 failed, 1 missing")`)
	w.fleet.answer(aReturn(1, "web-03", now, "<b>bold</b>\n", 1))
	b.eventually(t, "the job ends", `document.querySelector("#summary").innerText.includes("3 targeted, 3 answered, 1 failed, 0 missing")`)
	rows := eval[[]string](t, b, `[...document.querySelectorAll(".returns tbody tr th")].map((e) => e.innerText.trim())`)
	if want := []string{"web-01", "web-02", "web-03"}; !slices.Equal(rows, want) {
		t.Errorf("the rows are %q, want %q, each once", rows, want)
	}
	if n := eval[int](t, b, `document.querySelectorAll(".returns b").length`); n != 0 {
		t.Error("output became HTML")
	}
	b.shoot(t, "job-live")
	if said := b.console(); len(said) > 0 {
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
		b.look(t, l, "dark")
		if l == 1600 {
			b.logIn(t, w, "the-operator")
		}
		b.run(t, chromedp.Navigate(w.URL+"/jobs"), chromedp.WaitVisible(chromedp.CSS("#run-target")))
		var seen []string
		for range 40 {
			b.run(t, chromedp.KeyEvent("\t"))
			at := eval[struct {
				Name string
				Ring bool
			}](t, b, focused)
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
	b.run(t, chromedp.Navigate(w.URL+"/jobs"), chromedp.WaitVisible(chromedp.CSS("#run-target")), chromedp.KeyEvent("\t"), chromedp.KeyEvent("\r"), chromedp.KeyEvent("\t"))
	if in := eval[bool](t, b, `document.querySelector("#main").contains(document.activeElement)`); !in {
		t.Error("the skip link does not lead into the content")
	}
	b.run(t, chromedp.Navigate(w.URL+"/jobs"), chromedp.SendKeys(chromedp.CSS("#run-target"), "web-*"), chromedp.SendKeys(chromedp.CSS("#run-arg"), "uptime\r"), chromedp.WaitVisible(chromedp.CSS("#summary")))
	if got := w.fleet.requests(); len(got) != 1 || got[0].Target != "web-*" || !slices.Equal(got[0].Args, []string{"uptime"}) {
		t.Errorf("by keyboard the job was %+v", got)
	}
}
