// Charts of a node's health: its machine from the history, its program from heartbeats while the page is open.
import { Chart } from "../chart/chart.js";
import { KINDS } from "../live/coverage.js";
import { hubNow } from "../live/stream.js";
import { fetchHistory, seriesOf } from "../sensor/history.js";

const DAY_MS = 864e5;
const REFRESH_MS = 60000;
const BEATS_MS = 600000;
// Heartbeats further apart are not joined.
const JOIN_MS = 15000;

let span = DAY_MS;
let end = null; // null: now
let charts = []; // of the history
let beats = []; // of heartbeats
let timer = 0;

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
    const answers = await fetchHistory(sensors, ...range(), Math.max(200, Math.round(charts[0].chart.element.clientWidth)));
    if (!answers) return;
    charts.forEach(({ chart, dataset }) => {
      const answer = answers[sensors.indexOf(dataset.sensor)];
      chart.show({ series: [seriesOf(answer, dataset.health, wordsOf(dataset))], gaps: answer.gaps });
    });
    place();
  } catch {
    // Nothing is stored yet, or the hub does not answer; the charts stay as they are.
  }
}

function onRange(from, to) {
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
  beats = [...document.querySelectorAll("[data-beat]")].map(({ dataset, lastElementChild }) => {
    const chart = new Chart(lastElementChild, { from: to - BEATS_MS, to });
    chart.show({ series: [{ ...wordsOf(dataset), points: [], joinMs: JOIN_MS }] });
    return { dataset, chart };
  });
  load();
}

// Adds a heartbeat to its charts.
export function beat(value) {
  const now = hubNow();
  beats.forEach(({ dataset, chart }) => {
    chart.append(0, now, value[dataset.beat]);
    chart.setRange(now - BEATS_MS, now);
  });
}
