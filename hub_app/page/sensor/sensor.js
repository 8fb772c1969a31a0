// View of one sensor: its newest values, and a chart of each field over a range of time.
import { askForName } from "../commands/names.js";
import { askToRemove } from "../commands/removal.js";
import { askForSettings } from "../commands/settings.js";
import { refreshCoverage } from "../live/coverage.js";
import { setText } from "../live/elements.js";
import { urlOf } from "../live/paths.js";
import { showAges, showReading } from "../live/readings.js";
import { change, follow, hubNow, isOpen } from "../live/stream.js";
import { swapParts } from "../live/swap.js";
import { makeCards } from "./cards.js";
import { dropAlarm, dropAlarms, keepAlarm, showPresence, showTitle } from "./heading.js";
import { faultOf, fetchHistory, historyPath } from "./history.js";
import { addressOf, chosen, hasRange, localText, openingSpan, readRange, spanOf } from "./range.js";

const PAUSE_MS = 150; // after a gesture, before its range is fetched
// Readings of a late backlog appear after so long; a sensor that is new is asked for more often.
const REFRESH_MS = 30000;
const MOST_REFRESH_MS = 300000;
const NEW_MS = 3000;
const COVERAGE_MS = 60000;
const RELOAD_MS = 5000;

const main = document.querySelector("main");
const form = document.getElementById("ranges");
const { node, sensor } = main.dataset;
const id = `${node}:${sensor}`;
const readingTopic = document.querySelector(".now .reading").dataset.topic;
const plugins = new Map(); // topic -> newest event of a plugin's state

let opening; // span of an address without one, known with the first answer
let range = readRange(location.search);
let wanted = range.to === null ? range : readRange(""); // the last one of the buttons
const cards = [];
let shown = null; // from, to of the charts
let loadTimer = 0;
let swappedMs = -Infinity;

const compared = () => new URLSearchParams(location.search).get("compare") ?? "";
const nameOf = (sensorId) => (sensorId === id ? document.getElementById("title").textContent : otherName(sensorId));
const otherName = (sensorId) => [...form.elements.compare.options].find((option) => option.value === sensorId)?.text ?? sensorId;

function ends() {
  const to = range.to ?? hubNow();
  return [to - range.span, to];
}

function setAddress(isNew) {
  const address = addressOf(range, location.search);
  if (address === location.search) return;
  if (isNew) history.pushState(null, "", address);
  else history.replaceState(null, "", address);
}

// Moves every chart to the range.
function place() {
  shown = ends();
  cards.forEach((card) => {
    card.chart.setRange(...shown);
    card.showFigures();
  });
  const [from, to] = shown.map(localText);
  if (document.activeElement !== form.elements.from) form.elements.from.value = from;
  if (document.activeElement !== form.elements.to) form.elements.to.value = to;
  form.querySelectorAll("[data-range]").forEach((button) =>
    button.setAttribute("aria-pressed", range.to === null && spanOf(button.dataset.range) === range.span));
  document.getElementById("csv").href = `${historyPath(id, ...shown, 2000)}&format=csv`;
}

function show(next, isNew = true) {
  range = next;
  setAddress(isNew);
  place();
  loadSoon(0);
}

function loadSoon(pauseMs) {
  clearTimeout(loadTimer);
  loadTimer = setTimeout(load, pauseMs);
}

async function load() {
  loadSoon(REFRESH_MS);
  if (document.hidden) return;
  const sensors = [id, ...(compared() ? [compared()] : [])];
  const fault = document.getElementById("history-fault");
  try {
    const width = Math.max(200, Math.round(document.getElementById("charts").clientWidth));
    const answers = await fetchHistory(sensors, ...ends(), Math.min(width, 4000));
    if (!answers) return;
    setText(fault, "");
    if (opening === undefined && open(answers[0])) return loadSoon(0);
    loadSoon(Math.min(Math.max(REFRESH_MS, answers[0].bucket_ms / 2), MOST_REFRESH_MS));
    cards.push(...makeCards(document.getElementById("charts"), cards, answers[0], { node, sensor }, listeners(), main.dataset.operates !== undefined));
    cards.forEach((card) => card.show(answers, sensors.map(nameOf)));
    place();
  } catch (error) {
    if (error.status === 404 && sensors.length === 1) loadSoon(NEW_MS);
    setText(fault, faultOf(error, sensors));
  }
}

// Chooses the range that the page opens with, where the address has none; returns whether it is another one.
function open(answer) {
  const before = range.span;
  opening = hasRange(location.search) ? readRange("").span : openingSpan([answer], hubNow());
  if (!hasRange(location.search)) wanted = range = readRange(location.search, opening);
  return range.span !== before;
}

function listeners() {
  const [from, to] = ends();
  return {
    from,
    to,
    onRange(start, end, isFinal) {
      range = chosen(start, Math.min(end, hubNow()), hubNow());
      setAddress(isFinal);
      place();
      loadSoon(PAUSE_MS);
    },
    onReset: () => show(wanted),
    onCursor: (time, own) => cards.forEach(({ chart }) => chart === own || chart.moveCursor(time, false)),
  };
}

// Adds a reading to the right edge of the charts.
function append({ topic, value }) {
  const k = topic === readingTopic ? 0 : 1;
  cards.forEach((card) => card.append(k, value.timestamp_ms, value.data));
  if (range.to === null) place();
  else cards.forEach(({ chart }) => chart.draw());
}

const onKind = {
  reading(event) {
    if (event.topic === readingTopic) {
      const reading = document.querySelector(".now .reading");
      // A field that is new needs a row, and soon a chart.
      if (!showReading(reading, event)) swapRows();
      showTitle(nameOf(id));
    }
    append(event);
  },
  plugin(event) {
    plugins.set(event.topic, event);
    document.querySelectorAll("[data-settings-of]").forEach((button) => {
      if (button.dataset.settingsOf === event.topic) button.hidden = !Object.keys(event.value.described ?? {}).length;
    });
  },
  alarm(event) {
    if (event.node === node && event.value.sensor === sensor) keepAlarm(event);
  },
  status({ node: of, value }) {
    if (of === node) showPresence(value);
  },
  // Other names, units or bands need another page.
  sensor({ node: of, name, value }) {
    if (of === node && name === sensor && value.digest !== main.dataset.digest) reload();
  },
};

// Shows the overview instead of a sensor that was removed.
function leave() {
  location.assign(urlOf("/"));
}

// Once in a while at most, whatever the node says.
function swapRows() {
  if (performance.now() - swappedMs < RELOAD_MS) return;
  swappedMs = performance.now();
  swapParts(["reading"]);
  loadSoon(NEW_MS);
}

function reload() {
  setTimeout(() => location.reload(), Math.max(0, RELOAD_MS - performance.now()));
}

function onEvent(event) {
  if (event.value !== null) onKind[event.kind]?.(event);
  else if (event.topic === readingTopic) leave();
  else dropAlarm(event);
}

function onSnapshot({ entries }) {
  dropAlarms();
  entries.forEach(onEvent);
  load();
}

function streamPath() {
  return `/events?${new URLSearchParams({ view: "sensor", node, sensor, compare: compared() })}`;
}

// Follows the address to another sensor that is compared.
function compare() {
  form.elements.compare.value = compared();
  cards.forEach((card) => (card.recent = []));
  change(streamPath());
}

form.addEventListener("click", ({ target }) => {
  const { range: text, move } = target.dataset;
  const [from, to] = ends();
  if (text) show((wanted = { span: spanOf(text), to: null }));
  if (move) show(chosen(from + (move * range.span) / 2, Math.min(to + (move * range.span) / 2, hubNow()), hubNow()));
});
form.addEventListener("submit", (event) => {
  event.preventDefault();
  const [from, to] = ["from", "to"].map((name) => Date.parse(form.elements[name].value));
  if (from < to) show(chosen(from, to, hubNow()));
});
form.elements.compare.addEventListener("change", ({ target }) => {
  const params = new URLSearchParams(location.search);
  if (target.value) params.set("compare", target.value);
  else params.delete("compare");
  history.pushState(null, "", `?${params}`);
  compare();
  load();
});
addEventListener("popstate", () => {
  range = readRange(location.search, opening);
  if (form.elements.compare.value !== compared()) compare();
  place();
  load();
});
document.addEventListener("click", ({ target }) => {
  const button = target.closest("button");
  if (button?.dataset.nameOf) askForName(button);
  if (button?.dataset.settingsOf) askForSettings(plugins.get(button.dataset.settingsOf), sensor);
  if (button?.dataset.remove) askToRemove(button.dataset.remove, leave);
});

function slide() {
  showAges();
  // By a pixel at a time.
  if (range.to === null && shown && hubNow() - shown[1] > range.span / 1000) place();
}

form.hidden = false;
form.querySelector("details").open = compared() !== "" || matchMedia("(min-width: 40.01rem)").matches;
document.querySelector(".hint").hidden = false;
form.elements.compare.value = compared();
follow(streamPath(), { onSnapshot, onUpdate: onEvent });
place();
setInterval(slide, 1000);
refreshCoverage(hubNow());
setInterval(() => isOpen() && refreshCoverage(hubNow()), COVERAGE_MS);
