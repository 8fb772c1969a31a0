// One thin bar a sensor: of the last 24 hours, which samples are there, and why the others are not.
import { elementsOf } from "./elements.js";

const DAY_MS = 24 * 3600 * 1000;
const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 1000;
// What is missing is seen, however short it was.
const LEAST_WIDTH = 8;
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

const newest = new Map(); // sensor id -> its coverage and the range that it is of

export function drawCoverage() {
  newest.forEach(({ sensor, from, to }, id) => {
    const bar = [svg(sensor.spans, from, to), label(sensor.counts)];
    elementsOf("coverageOf", "[data-coverage-of]", id).forEach((place) =>
      place.replaceChildren(...bar.map((part) => part.cloneNode(true))));
  });
}

// Asks for every node that has a place, one after the other: nobody waits for it.
export async function refreshCoverage(nowMs) {
  const to = Math.round(nowMs);
  const nodes = new Set([...document.querySelectorAll("[data-coverage-node]")].map((place) => place.dataset.coverageNode));
  for (const node of nodes) await ask(node, to - DAY_MS, to);
  drawCoverage();
}

async function ask(node, from, to) {
  try {
    const answer = await fetch(`/api/coverage?${new URLSearchParams({ node, from, to })}`);
    if (!answer.ok) return;
    keep(await answer.json(), from, to);
  } catch {
    // The hub is away; the bar stays as it was.
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
  // What is missing lies above what is there, which may be next to it.
  const isMissing = ([, , kind]) => Number(!PRESENT.includes(kind) && kind !== "none");
  [...spans].sort((a, b) => isMissing(a) - isMissing(b)).forEach((span) => bar.append(rectangle(span, from, scale)));
  return bar;
}

function rectangle([start, end, kind], from, scale) {
  const part = document.createElementNS(SVG, "rect");
  const width = Math.max((end - start) * scale, kind === "none" ? 0 : LEAST_WIDTH);
  for (const [name, value] of [["x", (start - from) * scale], ["width", width], ["height", 10]]) part.setAttribute(name, value);
  part.dataset.kind = kind;
  return part;
}

function label(counts) {
  const text = document.createElement("span");
  const sum = (kinds) => kinds.reduce((total, kind) => total + (counts[kind] ?? 0), 0);
  const kinds = Object.keys(WORDS).filter((kind) => kind !== "none" && counts[kind] > 0);
  const expected = sum(kinds);
  // Never 100 % while one is missing.
  const percent = Math.floor((1000 * sum(PRESENT)) / expected) / 10;
  const rest = kinds.filter((kind) => kind !== "there").map((kind) => `${counts[kind]} ${WORDS[kind]}`);
  text.textContent = expected ? [`24 h: ${percent} %`, ...rest].join(", ") : "24 h: none expected";
  return text;
}
