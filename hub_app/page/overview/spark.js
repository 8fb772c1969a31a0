// Last day of each sensor's main value as a small curve, fetched when its tile comes into view.
import { urlOf } from "../live/paths.js";
import { hintsOf } from "../live/readings.js";
import { hubNow, isOpen } from "../live/stream.js";
import { write } from "../live/values.js";
import { placesOf } from "./places.js";

const DAY_MS = 86400000;
const WIDTH = 120;
const HEIGHT = 32;
const FRESH_MS = 300000;
const RETRY_MS = 15000;
// As many as the hub answers at a time.
const MOST_FETCHES = 2;
const SLACK = 1.6;
const SVG = "http://www.w3.org/2000/svg";

const days = new Map(); // sensor id -> { at, answer } of its last day
const visible = new Set(); // sensor ids of the tiles in view
const waiting = new Set(); // sensor ids to be fetched
let fetches = 0;
let retryTimer = 0;
let onView = () => {};

const observer = new IntersectionObserver((entries) => {
  entries.forEach(({ target, isIntersecting }) => {
    const id = target.dataset.sparkOf;
    if (isIntersecting) visible.add(id);
    else visible.delete(id);
  });
  refreshSparks();
  onView();
}, { rootMargin: "200px" });

// Calls `listener` whenever other tiles come into view.
export function whenInView(listener) {
  onView = listener;
}

export const isInView = (sensorId) => visible.has(sensorId);

// Follows the tiles of the page, which are new.
export function findSparks() {
  observer.disconnect();
  visible.clear();
  document.querySelectorAll("[data-spark-of][data-spark-field]").forEach((spark) => {
    const day = days.get(spark.dataset.sparkOf);
    if (day) draw(spark, day.answer);
    observer.observe(spark);
  });
}

// Fetches what is in view and has not been for a while.
export function refreshSparks() {
  waiting.clear();
  const oldest = performance.now() - FRESH_MS;
  visible.forEach((id) => {
    if (!(days.get(id)?.at > oldest)) waiting.add(id);
  });
  fetchNext();
}

function fetchNext() {
  while (isOpen() && fetches < MOST_FETCHES && waiting.size) {
    const [id] = waiting;
    waiting.delete(id);
    fetches += 1;
    fetchDay(id).finally(() => {
      fetches -= 1;
      fetchNext();
    });
  }
}

async function fetchDay(id) {
  const [spark] = placesOf("sparkOf", id);
  if (!spark) return;
  const field = spark.dataset.sparkField;
  const to = Math.ceil(hubNow());
  try {
    const asked = { sensor: id, field, from: to - DAY_MS, to, width: WIDTH, missing: "empty" };
    const answer = await (await fetch(urlOf(`/api/history?${new URLSearchParams(asked)}`))).json();
    // Nothing is stored of a new sensor yet.
    if (!(answer.series?.[0]?.points.length > 1)) throw new Error(answer.error ?? "nothing is stored");
    days.set(id, { at: performance.now(), answer });
    placesOf("sparkOf", id).forEach((place) => draw(place, answer));
  } catch {
    clearTimeout(retryTimer);
    retryTimer = setTimeout(refreshSparks, RETRY_MS);
  }
}

function draw(place, { from_ms: from, to_ms: to, bucket_ms: bucketMs, interval_ms: intervalMs, series }) {
  const points = series[0]?.points ?? [];
  place.textContent = "";
  if (points.length < 2) return;
  const least = Math.min(...points.map(([, , low]) => low));
  const greatest = Math.max(...points.map(([, , , high]) => high));
  const x = (ms) => (((ms - from) / (to - from)) * WIDTH).toFixed(1);
  const y = (value) => (greatest === least ? HEIGHT / 2 : 1 + (HEIGHT - 2) * (1 - (value - least) / (greatest - least))).toFixed(1);
  const runs = split(points, bucketMs + SLACK * intervalMs);
  const line = runs.map((run) => `M${run.map(([ms, mean]) => `${x(ms)} ${y(mean)}`).join("L")}h.1`).join("");
  const bands = runs.map((run) => {
    const highs = run.map(([ms, , , high]) => `${x(ms)} ${y(high)}`);
    const lows = run.map(([ms, , low]) => `${x(ms)} ${y(low)}`).reverse();
    return `M${[...highs, ...lows].join("L")}Z`;
  });
  place.append(picture(bands.join(""), line), range(place, least, greatest));
}

// Splits points where values are missing in between.
function split(points, joinMs) {
  const runs = [];
  points.forEach((point, i) => {
    if (i && point[0] - points[i - 1][0] <= joinMs) runs[runs.length - 1].push(point);
    else runs.push([point]);
  });
  return runs;
}

function picture(...paths) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  svg.append(...paths.map((text) => {
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("d", text);
    return path;
  }));
  return svg;
}

function range(place, least, greatest) {
  const hints = hintsOf(place.parentElement.querySelector(".field"));
  const range = document.createElement("p");
  range.title = "greatest and least of 24 hours";
  const ends = greatest === least ? [["always", least]] : [["greatest", greatest], ["least", least]];
  for (const [name, value] of ends) {
    const word = document.createElement("span");
    word.className = "for-readers";
    word.textContent = `${name} `;
    const text = document.createElement("span");
    text.append(word, write(value, hints));
    range.append(text);
  }
  return range;
}
