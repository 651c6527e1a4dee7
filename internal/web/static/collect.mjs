// Copies the browser libraries that package-lock.json pins from node_modules,
// with their licenses, to where the server embeds them. Run after `npm ci
// --ignore-scripts`. A server built without them works, without charts and
// live updates.
import { copyFileSync, mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const from = join(here, "../../../node_modules");
const to = join(here, "vendor");

const files = {
  "htmx.org/dist/htmx.min.js": "htmx.js",
  "htmx.org/LICENSE": "htmx.LICENSE.txt",
  "htmx-ext-sse/dist/sse.min.js": "sse.js",
  "htmx-ext-sse/LICENSE": "sse.LICENSE.txt",
  "uplot/dist/uPlot.esm.js": "uplot.js",
  "uplot/dist/uPlot.min.css": "uplot.css",
  "uplot/LICENSE": "uplot.LICENSE.txt",
};

mkdirSync(to, { recursive: true });
for (const [source, target] of Object.entries(files)) {
  copyFileSync(join(from, source), join(to, target));
}
