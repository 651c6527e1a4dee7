// What every page shares: relative times that stay true, the live switch, and
// the state of the live connection. Pages work without this file.

const units = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];

function span(seconds) {
  for (const [unit, size] of units) {
    const limit = unit === "d" ? 2 * size : size;
    if (seconds >= limit || unit === "s") return `${Math.floor(seconds / size)} ${unit}`;
  }
}

function ago(then, now) {
  const seconds = (now - then) / 1000;
  if (Math.abs(seconds) < 2) return "now";
  return seconds < 0 ? `in ${span(-seconds)}` : `${span(seconds)} ago`;
}

function refreshTimes() {
  const now = Date.now();
  for (const element of document.querySelectorAll("time[data-ago]")) {
    const then = Date.parse(element.dateTime);
    if (!Number.isNaN(then)) element.textContent = ago(then, now);
  }
}
setInterval(refreshTimes, 5000);

const button = document.querySelector("#live-switch");
let paused = false;
let state = "connecting";

function show() {
  if (!button) return;
  const text = paused ? "Paused" : { connecting: "Connecting", open: "Live", lost: "Offline" }[state];
  const look = paused ? "off" : { connecting: "off", open: "ok", lost: "bad" }[state];
  button.hidden = false;
  button.setAttribute("aria-pressed", String(paused));
  button.title = paused ? "Updates are paused; press to go on" : "Press to pause updates";
  const label = button.firstElementChild;
  label.textContent = text;
  label.className = `state ${look}`;
}

// A person who reads with the keyboard or selects text must not have it pulled away.
function busy() {
  const selection = getSelection();
  if (selection && !selection.isCollapsed) return true;
  if (document.querySelector("[data-live] details[open]")) return true; // a decision is under way
  const active = document.activeElement;
  return Boolean(active?.matches(":focus-visible") && active.closest("[data-live]"));
}

// After a break the page may have missed something: it asks at once.
function becameOpen() {
  const again = state === "lost";
  state = "open";
  show();
  if (again) window.htmx?.trigger("#refresh", "rind:again");
}

function becameLost() { state = "lost"; show(); }

document.addEventListener("htmx:sseOpen", becameOpen);
document.addEventListener("htmx:sseError", becameLost);
document.addEventListener("htmx:beforeRequest", (event) => {
  if (event.target.id === "refresh" && (paused || busy())) event.preventDefault();
});
document.addEventListener("htmx:sseClose", (event) => {
  if (event.detail.type === "message" && button) button.hidden = true;
});

if (button && document.querySelector("[sse-connect]")) {
  show();
  button.addEventListener("click", () => {
    paused = !paused;
    show();
    document.dispatchEvent(new CustomEvent("rind:paused", { detail: paused }));
  });
}

// On a narrow screen the row of places scrolls; the current one is brought into it.
const nav = document.querySelector(".side nav");
const current = nav?.querySelector("[aria-current]");
if (current) nav.scrollLeft = current.offsetLeft - (nav.clientWidth - current.offsetWidth) / 2;
