// Overview: live updates over SSE. The dashboard plugin renders every element; this script finds
// elements by their data attributes and sets only text and attributes, so text from the bus never
// becomes markup. When a topic has no element yet, it fetches the page again and replaces <main>.
// Written for browsers of 2020 and later (ES2020): nothing newer is used, in the other scripts either.
import { command } from "../commands/commands.js";
import { askForName } from "../commands/names.js";
import { askToRemove } from "../commands/removal.js";
import { askForSettings } from "../commands/settings.js";
import { drawCoverage, refreshCoverage } from "../live/coverage.js";
import { setText } from "../live/elements.js";
import { showIn } from "../live/outputs.js";
import { urlOf } from "../live/paths.js";
import { readFormats, showAges } from "../live/readings.js";
import { change, follow, hubNow, isOpen } from "../live/stream.js";
import { findAreas, showRanges, showWorst } from "./areas.js";
import { showAttention, showSince } from "./attention.js";
import { refreshBroker } from "./broker.js";
import { addLog, fillLogs, findTabs, forgetLog, keepLogs, showLog } from "./logs.js";
import { findPlaces, placesOf } from "./places.js";
import { findSparks, isInView, refreshSparks, whenInView } from "./spark.js";

const SWAP_MS = 1000;
const PARTIAL_SWAP_MS = 30000;
// A page that takes long to make is not made all the time.
const SWAP_PART = 5;
// Many changes are shown a few times a second, together; a few are shown as they come.
const MANY_CHANGES = 60;
const TOGETHER_MS = 250;
// Readings are in the history a little later than on the bus.
const FIRST_COVERAGE_MS = 4000;
const COVERAGE_MS = 60000;
const BROKER_MS = 10000;
const SPARK_MS = 60000;
const RANGES_MS = 5000;
// Kinds that have an element each; of others, the page shows what follows from them.
const PLACED = ["reading", "heartbeat", "plugin", "leds", "oled", "buzzer", "fan"];
const OF_ATTENTION = ["alarm", "status", "plugin", "about"];

const latest = new Map(); // topic -> newest event of it
const changed = new Map(); // topic -> newest event that is to be shown
let changes = 0; // in this second
let isBusy = false; // many changes in the second before
let showTimer = 0;

const hasPanels = () => document.querySelector("main[data-panels]") !== null;

function showRefused(node, refused) {
  const text = Object.entries(refused).map(([reason, count]) => `${count} ${reason}`).join(", ");
  placesOf("refusedOf", node).forEach((element) => {
    element.hidden = !text;
    setText(element, text && `refused: ${text}`);
  });
}

function showPresence({ node, value: { presence, refused } }) {
  showRefused(node, refused);
  const marked = placesOf("presenceOf", node);
  marked.forEach((element) => {
    if (element.dataset.presence !== presence) element.dataset.presence = presence;
    if (element.classList.contains("presence")) setText(element, presence);
  });
  return marked.length > 0;
}

function showAnswer({ node, name, value }) {
  const text = `${name}: ${value.ok ? "done" : value.error}`;
  placesOf("answersOf", node).forEach((element) => setText(element, text));
  return true;
}

// Returns true if the elements of a sensor or node are made from this description of it.
function isDescribed({ kind, node, name, value }) {
  return placesOf("digestOf", `${kind} ${node} ${name}`).every((element) => element.dataset.digest === value.digest);
}

// An event that cannot be shown keeps no other from being shown.
function show(event) {
  try {
    return showEvent(event);
  } catch (error) {
    console.error(`${event.topic}: ${error}`);
    return true;
  }
}

function showEvent(event) {
  if (event.kind === "status") return showPresence(event);
  if (event.kind === "result") return showAnswer(event);
  if (event.kind === "sensor" || event.kind === "about") return isDescribed(event);
  if (!PLACED.includes(event.kind) || (event.kind === "plugin" && !hasPanels())) return true;
  return showIn(placesOf("topic", event.topic), event);
}

function showSoon() {
  if (showTimer) return;
  if (isBusy || changes > MANY_CHANGES) showTimer = setTimeout(showChanged, TOGETHER_MS);
  else showChanged();
}

// Shows what has changed, all of it before the browser lays the page out again.
function showChanged() {
  clearTimeout(showTimer);
  showTimer = 0;
  const events = [...changed.values()];
  changed.clear();
  if (!events.map(show).every(Boolean)) swapSoon();
  if (events.some(({ kind }) => OF_ATTENTION.includes(kind))) showNeeds();
}

// Shows everything; returns true if every value has an element.
function showAll() {
  const placed = [...latest.values()].map(show).every(Boolean);
  showNeeds();
  return fillLogs() && placed;
}

// Shows what needs attention, in its panel and in the areas.
function showNeeds() {
  showAttention(latest);
  showWorst();
}

function findAll() {
  readFormats();
  findPlaces();
  findTabs();
  findAreas();
  drawCoverage();
  findSparks();
}

const streamPath = () => `/events?view=overview${hasPanels() ? "&panels=yes" : ""}`;

let swapTimer = 0;
let swappedMs = -SWAP_MS;
let pauseMs = SWAP_MS;

function swapSoon() {
  if (swapTimer) return;
  // A partial page has no element for some topics, however often it is fetched.
  const pause = document.querySelector("main[data-partial]") ? PARTIAL_SWAP_MS : pauseMs;
  swapTimer = setTimeout(swap, Math.max(0, swappedMs + pause - performance.now()));
}

async function swap() {
  const startMs = performance.now();
  let again = false;
  try {
    const page = await fetch(urlOf("/"));
    if (page.redirected) location.replace(page.url);
    if (!page.ok || page.redirected) return;
    const fresh = new DOMParser().parseFromString(await page.text(), "text/html");
    const path = streamPath();
    replaceMain(fresh);
    findAll();
    refreshBroker();
    // Topics that appeared while the page was fetched may need another one.
    again = !showAll();
    if (streamPath() !== path) change(streamPath());
  } catch {
    // The hub does not answer. The next snapshot starts another swap.
  } finally {
    swappedMs = performance.now();
    pauseMs = Math.max(SWAP_MS, SWAP_PART * (swappedMs - startMs));
    swapTimer = 0;
    if (again) swapSoon();
  }
}

function replaceMain(fresh) {
  const open = [...document.querySelectorAll("details[open]")].map((details) => details.id);
  const focused = document.activeElement?.id;
  const answer = document.getElementById("plugin-answer")?.textContent ?? "";
  document.querySelector("main").replaceWith(document.adoptNode(fresh.querySelector("main")));
  open.forEach((id) => id && document.getElementById(id)?.setAttribute("open", ""));
  setText(document.getElementById("plugin-answer"), answer);
  if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
}

function onSnapshot({ entries, logs: lines }) {
  latest.clear();
  changed.clear();
  entries.forEach((entry) => latest.set(entry.topic, entry));
  keepLogs(lines);
  if (!showAll()) swapSoon();
  refreshSparks();
}

function onUpdate(event) {
  if (event.value === null) {
    latest.delete(event.topic);
    changed.delete(event.topic);
    if (event.kind === "status") forgetLog(event.node);
    if (event.kind === "alarm") showNeeds();
    else swapSoon();
    return;
  }
  if (event.kind === "event") return; // something that happened has no element
  if (event.kind === "log") {
    if (!addLog(event)) swapSoon();
    return;
  }
  changes += 1;
  latest.set(event.topic, event);
  changed.set(event.topic, event);
  showSoon();
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (button?.dataset.node) command(button);
  if (button?.dataset.remove) askToRemove(button.dataset.remove);
  if (button?.dataset.nameOf) askForName(button);
  if (button?.dataset.settingsOf) askForSettings(latest.get(button.dataset.settingsOf));
  if (button?.dataset.tab) showLog(button.dataset.tab);
});

// Of many nodes, only those in view are asked for.
function updateCoverage() {
  if (isOpen()) refreshCoverage(hubNow(), ({ dataset }) => hasPanels() || isInView(dataset.coverageOf));
}

function everySecond() {
  isBusy = changes > MANY_CHANGES;
  changes = 0;
  showAges();
  showSince();
}

findAll();
follow(streamPath(), { onSnapshot, onUpdate });
setInterval(everySecond, 1000);
setInterval(showRanges, RANGES_MS);
setTimeout(() => {
  updateCoverage();
  whenInView(updateCoverage);
}, FIRST_COVERAGE_MS);
setInterval(updateCoverage, COVERAGE_MS);
setInterval(refreshSparks, SPARK_MS);
refreshBroker();
setInterval(() => isOpen() && refreshBroker(), BROKER_MS);
