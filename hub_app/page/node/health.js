// Charts of a node's health from the history: its machine, and its program as its heartbeats tell.
import { Chart } from "../chart/chart.js";
import { KINDS } from "../live/coverage.js";
import { hubNow } from "../live/stream.js";
import { fetchHistory, seriesOf } from "../sensor/history.js";
import { openingSpan } from "../sensor/range.js";

const DAY_MS = 864e5;
const REFRESH_MS = 60000;

let span = DAY_MS;
let end = null; // null: now
let charts = [];
let timer = 0;
let isOpened = false; // since then, the span is that of the node's history or of somebody's choice

function wordsOf({ label, unit, decimals }) {
  const digits = decimals === undefined ? undefined : Number(decimals);
  const write = (value) => (digits === undefined ? String(Number(value.toFixed(3))) : value.toFixed(digits));
  return { label, unit, decimals: digits, format: (value) => `${write(value)}${unit && ` ${unit}`}` };
}

const range = () => [(end ?? hubNow()) - span, end ?? hubNow()];

function place() {
  charts.forEach(({ chart }) => chart.setRange(...range()));
}

function loadSoon(pauseMs) {
  clearTimeout(timer);
  timer = setTimeout(load, pauseMs);
}

async function load() {
  loadSoon(REFRESH_MS);
  if (document.hidden || !charts.length) return;
  const sensors = [...new Set(charts.map(({ dataset }) => dataset.sensor))];
  try {
    const width = Math.max(200, Math.round(charts[0].chart.element.clientWidth));
    const answers = await fetchHistory(sensors, ...range(), width, { missing: "empty" });
    if (!answers) return;
    if (!isOpened) open(answers);
    charts.forEach(({ chart, dataset }) => {
      const answer = answers[sensors.indexOf(dataset.sensor)];
      // Of a new node, the first minute is not stored yet.
      if (answer.series.length) chart.show({ series: [seriesOf(answer, dataset.health, wordsOf(dataset))], gaps: answer.gaps });
    });
    place();
  } catch {
    // The hub does not answer; the charts stay as they are.
  }
}

function open(answers) {
  if (!answers.some(({ series }) => series.length)) return;
  isOpened = true;
  span = openingSpan(answers, hubNow());
  if (span !== DAY_MS) loadSoon(0);
}

function onRange(from, to) {
  isOpened = true;
  span = to - from;
  end = to >= hubNow() - span / 50 ? null : to;
  place();
  loadSoon(150);
}

function onReset() {
  [span, end] = [DAY_MS, null];
  place();
  loadSoon(0);
}

export function startHealth() {
  const [from, to] = range();
  charts = [...document.querySelectorAll("[data-health]")].map(({ dataset, lastElementChild }) => {
    const onCursor = (time, own) => charts.forEach(({ chart }) => chart === own || chart.moveCursor(time, false));
    return { dataset, chart: new Chart(lastElementChild, { from, to, kinds: KINDS, onRange, onReset, onCursor }) };
  });
  load();
}
