// Coverage bar of each sensor: the samples of the last 24 hours, and why some are missing.
import { elementsOf } from "./elements.js";

const DAY_MS = 24 * 3600 * 1000;
const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 1000;
// Even the shortest gap is visible.
const MIN_WIDTH = 8;
const PRESENT = ["there", "late"];
const WORDS = {
  there: "there",
  late: "arrived later",
  waiting: "still to come",
  off: "node off",
  fault: "sensor fault",
  plugin: "plugin failed",
  dropped: "given up by a full outbox",
  none: "none expected",
};

const newest = new Map(); // sensor id -> its coverage and the time range

export function drawCoverage() {
  newest.forEach(({ sensor, from, to }, id) => {
    const bar = [svg(sensor.spans, from, to), label(sensor.counts)];
    elementsOf("coverageOf", "[data-coverage-of]", id).forEach((place) =>
      place.replaceChildren(...bar.map((part) => part.cloneNode(true))));
  });
}

// Fetches the coverage of every node on the page, one after the other to spare the hub.
export async function refreshCoverage(nowMs) {
  const to = Math.round(nowMs);
  const nodes = new Set([...document.querySelectorAll("[data-coverage-node]")].map((place) => place.dataset.coverageNode));
  for (const node of nodes) await fetchCoverage(node, to - DAY_MS, to);
  drawCoverage();
}

async function fetchCoverage(node, from, to) {
  try {
    const answer = await fetch(`/api/coverage?${new URLSearchParams({ node, from, to })}`);
    if (!answer.ok) return;
    keep(await answer.json(), from, to);
  } catch {
    // The hub does not answer; the bar stays as it was.
  }
}

export function keep({ sensors }, from, to) {
  sensors.forEach((sensor) => newest.set(sensor.sensor_id, { sensor, from, to }));
}

function svg(spans, from, to) {
  const bar = document.createElementNS(SVG, "svg");
  bar.setAttribute("viewBox", `0 0 ${WIDTH} 10`);
  bar.setAttribute("preserveAspectRatio", "none");
  bar.setAttribute("aria-hidden", "true");
  const scale = WIDTH / (to - from);
  // Gaps are drawn last, so that adjacent samples do not cover them.
  const isMissing = ([, , kind]) => Number(!PRESENT.includes(kind) && kind !== "none");
  [...spans].sort((a, b) => isMissing(a) - isMissing(b)).forEach((span) => bar.append(rectangle(span, from, scale)));
  return bar;
}

function rectangle([start, end, kind], from, scale) {
  const part = document.createElementNS(SVG, "rect");
  const width = Math.max((end - start) * scale, kind === "none" ? 0 : MIN_WIDTH);
  for (const [name, value] of [["x", (start - from) * scale], ["width", width], ["height", 10]]) part.setAttribute(name, value);
  part.dataset.kind = kind;
  return part;
}

function label(counts) {
  const text = document.createElement("span");
  const sum = (kinds) => kinds.reduce((total, kind) => total + (counts[kind] ?? 0), 0);
  const kinds = Object.keys(WORDS).filter((kind) => kind !== "none" && counts[kind] > 0);
  const expected = sum(kinds);
  // Rounded down: never 100 % while a sample is missing.
  const percent = Math.floor((1000 * sum(PRESENT)) / expected) / 10;
  const rest = kinds.filter((kind) => kind !== "there").map((kind) => `${counts[kind]} ${WORDS[kind]}`);
  text.textContent = expected ? [`24 h: ${percent} %`, ...rest].join(", ") : "24 h: none expected";
  return text;
}
