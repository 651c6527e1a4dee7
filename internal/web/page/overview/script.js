// The traffic chart: an island fed by /api/v1/traffic. The columns that the
// server drew stay when it cannot be made.
import uPlot from "/static/vendor/uplot.js";

const place = document.querySelector("#traffic");
const plain = document.querySelector("#traffic-plain");

function colour(name) {
  const probe = document.createElement("span");
  probe.className = `probe-${name}`;
  probe.style.color = `var(--${name})`;
  place.append(probe);
  const value = getComputedStyle(probe).color;
  probe.remove();
  return value;
}

function bits(value) {
  if (value == null) return "–";
  const names = ["bit/s", "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s"];
  let i = 0;
  for (; Math.round(value) >= 1000 && i < names.length - 1; i++) value /= 1000;
  const digits = i === 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
  return `${value.toFixed(digits)} ${names[i]}`;
}

function packets(value) {
  if (value == null) return "–";
  const text = value >= 100 ? String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, "\u202f") : value.toFixed(1);
  return `${text} pkt/s`;
}

function range() {
  const { from, to, span } = place.dataset;
  if (Number(from)) return [Number(from), Number(to)];
  const now = Math.floor(Date.now() / 1000);
  return [now - Number(span), now];
}

// Buckets without traffic are zero, not missing; before the first tap nothing is
// known. The last one is still filling.
function columns(points, from, to, bucket) {
  const byTime = new Map(points.map((p) => [Math.floor(Date.parse(p.time) / 1000), p]));
  const data = [[], [], []];
  for (let t = Math.ceil(from / bucket) * bucket; t + bucket <= to; t += bucket) {
    const p = byTime.get(t);
    data[0].push(t);
    const known = t + bucket > Number(place.dataset.since);
    data[1].push(known ? ((p?.bytes ?? 0) * 8) / bucket : null);
    data[2].push(known ? (p?.packets ?? 0) / bucket : null);
  }
  return data;
}

async function load() {
  const [from, to] = range();
  const bucket = Number(place.dataset.bucket);
  const iso = (s) => new Date(s * 1000).toISOString();
  const query = new URLSearchParams({ from: iso(Math.floor(from / bucket) * bucket), to: iso(to), bucket: `${bucket}s` });
  const answer = await fetch(`/api/v1/traffic?${query}`, { headers: { Accept: "application/json" } });
  if (!answer.ok) throw new Error(`traffic: ${answer.status}`);
  const body = await answer.json();
  const points = Array.isArray(body) ? body : body.points ?? body.traffic ?? [];
  return columns(points, from, to, bucket);
}

const two = (n) => String(n).padStart(2, "0");
const clock = (d) => `${two(d.getUTCHours())}:${two(d.getUTCMinutes())}`;
const day = (d) => `${d.getUTCFullYear()}-${two(d.getUTCMonth() + 1)}-${two(d.getUTCDate())}`;

// The time of day in UTC, as on the rest of the page; the day where it changes.
function ticks(u, splits, axis, space, step) {
  let last = "";
  return splits.map((s) => {
    const date = new Date(s * 1000);
    const today = day(date);
    const text = step >= 86400 ? "" : clock(date);
    const changed = today !== last && last !== "";
    last = today;
    return changed || step >= 86400 ? `${text}\n${today}`.trim() : text;
  });
}

// The legend under the chart takes two lines on a narrow screen.
const drawn = () => place.clientHeight - (place.clientWidth < 500 ? 56 : 30);

function options() {
  const text = colour("muted");
  const line = colour("line");
  const axis = { stroke: text, grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1 }, font: "12px system-ui, sans-serif" };
  return {
    width: place.clientWidth,
    height: drawn(),
    padding: [8, 20, 0, 0],
    tzDate: (s) => uPlot.tzDate(new Date(s * 1000), "Etc/UTC"),
    cursor: { points: { size: 6 }, drag: { x: false, y: false } },
    scales: { x: { time: true }, y: { range: (u, low, high) => [0, high > 0 ? high * 1.1 : 1000] }, p: {} },
    axes: [
      { ...axis, values: ticks },
      { ...axis, scale: "y", size: 84, values: (u, all) => all.map(bits) },
    ],
    series: [
      { label: "UTC", value: (u, v) => (v == null ? "–" : `${day(new Date(v * 1000))} ${clock(new Date(v * 1000))}`) },
      { label: "Rate", scale: "y", stroke: colour("series-1"), width: 1.5, fill: colour("accent-soft"), value: (u, v) => bits(v), points: { show: false } },
      { label: "Packets", scale: "p", paths: () => null, points: { show: false }, value: (u, v) => packets(v) },
    ],
  };
}

let chart;
let paused = false;

async function draw(rebuild) {
  let data;
  try {
    data = await load();
  } catch {
    return;
  }
  if (chart && !rebuild) {
    chart.setData(data);
    latest(data);
    return;
  }
  chart?.destroy();
  plain?.remove();
  chart = new uPlot(options(), data, place);
  latest(data);
}

// Until somebody points at a moment, the legend shows the latest one.
// The chart resets its legend when it has drawn, so this waits for that.
function latest(data) {
  setTimeout(() => showLatest(data));
}

function showLatest(data) {
  if (chart.cursor.idx == null && data[0].length > 0) chart.setLegend({ idx: data[0].length - 1 });
}

if (place) {
  draw(false);
  document.addEventListener("rind:paused", (event) => { paused = event.detail; });
  document.addEventListener("htmx:afterRequest", (event) => {
    if (event.target.id === "refresh" && !paused && !Number(place.dataset.from)) draw(false);
  });
  new ResizeObserver(() => {
    if (chart) chart.setSize({ width: place.clientWidth, height: drawn() });
  }).observe(place);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => draw(true));
}
