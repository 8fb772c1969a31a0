// Coverage bar of each sensor: the samples of the last 24 hours, and why some are missing.
import { replaceContent } from "./elements.js";
import { urlOf } from "./paths.js";

const DAY_MS = 24 * 3600 * 1000;
const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 1000;
// Even the shortest gap is visible.
const MIN_WIDTH = 8;
const PRESENT = ["there", "late"];
// Of each kind: its word, and what it means. The legend, the titles and the charts use these.
export const KINDS = {
  there: ["there", "stored as it was taken"],
  late: ["arrived later", "stored; the link or the hub was down when it was taken"],
  waiting: ["still to come", "the node has been silent since, or has it in its outbox"],
  off: ["node off", "the program of the node did not run"],
  disabled: ["plugin disabled", "disabled by a command"],
  loading: ["plugin loading", "the plugin was being loaded: at its start, by a reload or an enable"],
  failed: ["plugin failed", "the plugin had failed and was not running"],
  fault: ["sensor fault", "node and plugin ran, and the sensor gave no reading"],
  dropped: ["given up by a full outbox", "taken, and dropped by the node to make room"],
  refused: ["refused by the hub", "taken, and refused: its log says why"],
  restored: ["lost by a restore", "stored, and lost when the hub was restored from an older backup"],
  none: ["none expected", "before the first reading, or yet to be taken"],
};

const PAUSE_MS = 30000; // between two fetches of a node
const askedMs = new Map(); // node -> when its coverage was last asked for
const newest = new Map(); // sensor id -> its coverage and the time range

export function drawCoverage() {
  document.querySelectorAll("[data-coverage-of]").forEach((place) => {
    const day = newest.get(place.dataset.coverageOf);
    if (day) replaceContent(place, [svg(day.sensor.spans, day.from, day.to), label(day.sensor.counts)]);
  });
  drawLegend();
}

function drawLegend() {
  const list = document.querySelector("#coverage-legend dl");
  if (!list || list.childElementCount) return;
  replaceContent(list, Object.keys(KINDS).flatMap((kind) => {
    const [term, meaning] = [document.createElement("dt"), document.createElement("dd")];
    term.dataset.kind = kind;
    [term.textContent, meaning.textContent] = KINDS[kind];
    return [term, meaning];
  }));
}

// Fetches the coverage of every node on the page that is wanted, one after the other to spare the hub.
export async function refreshCoverage(nowMs, isWanted = () => true) {
  const to = Math.round(nowMs);
  const places = [...document.querySelectorAll("[data-coverage-node]")].filter(isWanted);
  const nodes = new Set(places.map((place) => place.dataset.coverageNode));
  const due = [...nodes].filter((node) => !(to - askedMs.get(node) < PAUSE_MS));
  due.forEach((node) => askedMs.set(node, to));
  for (const node of due) await fetchCoverage(node, to - DAY_MS, to);
  if (due.length) drawCoverage();
}

async function fetchCoverage(node, from, to) {
  try {
    const answer = await fetch(urlOf(`/api/coverage?${new URLSearchParams({ node, from, to })}`));
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
  const title = document.createElementNS(SVG, "title");
  title.textContent = KINDS[kind] ? KINDS[kind].join(": ") : kind;
  part.append(title);
  return part;
}

function label(counts) {
  const text = document.createElement("span");
  const sum = (kinds) => kinds.reduce((total, kind) => total + (counts[kind] ?? 0), 0);
  const kinds = Object.keys(counts).filter((kind) => kind !== "none" && counts[kind] > 0);
  const expected = sum(kinds);
  // Rounded down: never 100 % while a sample is missing.
  const percent = Math.floor((1000 * sum(PRESENT)) / expected) / 10;
  text.append(expected ? `24 h: ${percent} %` : "24 h: none expected");
  const inOrder = Object.keys(KINDS).filter((kind) => kind !== "there" && kinds.includes(kind));
  inOrder.forEach((kind) => text.append(", ", reason(kind, counts[kind])));
  return text;
}

function reason(kind, count) {
  const part = document.createElement("span");
  const [word, meaning] = KINDS[kind];
  part.textContent = `${count} ${word}`;
  part.title = meaning;
  return part;
}
