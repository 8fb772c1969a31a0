// Live updates of the page over SSE. The dashboard plugin renders every element; this script finds
// elements by their data attributes and sets only text and attributes, so text from the bus never
// becomes markup. When a topic has no element yet, it fetches the page again and replaces <main>.
// Written for browsers of 2020 and later (ES2020): nothing newer is used, in the other scripts either.
import { refreshBroker } from "./broker.js";
import { command } from "./commands.js";
import { drawCoverage, refreshCoverage } from "./coverage.js";
import { elementsOf, replaceContent, setText } from "./elements.js";
import { askForName } from "./names.js";
import { urlOf } from "./paths.js";
import { showAges, showFields, showReading } from "./readings.js";
import { askToRemove } from "./removal.js";
import { askForSettings } from "./settings.js";
import { follow, hubNow, isOpen } from "./stream.js";
import { clock } from "./values.js";

const SWAP_MS = 1000;
const PARTIAL_SWAP_MS = 30000;
// Readings are in the history a little later than on the bus.
const FIRST_COVERAGE_MS = 4000;
const COVERAGE_MS = 60000;
const BROKER_MS = 10000;
const LOG_LINES = 500;
const COLOR = /^#[0-9a-f]{6}$/;
const SVG = "http://www.w3.org/2000/svg";

const latest = new Map(); // topic -> newest event of it
const logs = new Map(); // node -> newest log events, oldest first
let places = new Map(); // topic -> its elements
let shownLog = "";

// Shows an event of each kind in its elements; returns true if every value has an element.
const showKind = {
  reading: showReading,
  heartbeat(place, { value }) {
    showFields(place, value);
    return true;
  },
  plugin(place, { value }) {
    place.dataset.plugin = value.state;
    showFields(place, value);
    const settings = place.querySelector("[data-settings-of]");
    if (settings) settings.hidden = !Object.keys(value.described ?? {}).length;
    return true;
  },
  leds(place, { value }) {
    const dots = [...place.querySelectorAll("circle")];
    value.pixels.forEach((color, i) => {
      if (COLOR.test(color)) (dots[i] ?? addDot(place)).setAttribute("fill", color);
    });
    dots.slice(value.pixels.length).forEach((dot) => dot.parentElement.remove());
    const lit = value.pixels.filter((color) => color !== "#000000").length;
    place.setAttribute("aria-label", `${lit} of ${value.pixels.length} LEDs lit`);
    return true;
  },
  oled(place, { value }) {
    const picture = place.querySelector("img");
    const path = `${picture.dataset.path}?v=${encodeURIComponent(value.digest)}`;
    if (picture.getAttribute("src") !== path) picture.setAttribute("src", path);
    return showState(place, value.on, value.on ? "on" : "off");
  },
  buzzer(place, { value }) {
    return showState(place, value.sounding, value.sounding ? `sounding ${value.pattern}` : "silent");
  },
  fan(place, { value }) {
    return showState(place, value.on, `${value.on ? "on" : "off"} (${value.mode})`);
  },
};

function addDot(strip) {
  const picture = document.createElementNS(SVG, "svg");
  picture.setAttribute("viewBox", "0 0 16 16");
  picture.setAttribute("class", "led");
  const dot = document.createElementNS(SVG, "circle");
  for (const [name, value] of [["cx", 8], ["cy", 8], ["r", 6]]) dot.setAttribute(name, value);
  picture.append(dot);
  strip.append(picture);
  return dot;
}

function showState(place, on, text) {
  const state = place.querySelector(".state");
  state.toggleAttribute("data-on", on);
  setText(state, text);
  return true;
}

function showRefused(node, refused) {
  const text = Object.entries(refused).map(([reason, count]) => `${count} ${reason}`).join(", ");
  elementsOf("refusedOf", "[data-refused-of]", node).forEach((element) => {
    element.hidden = !text;
    setText(element, text && `refused: ${text}`);
  });
}

function showPresence(node, { presence, refused }) {
  showRefused(node, refused);
  const marked = elementsOf("presenceOf", "[data-presence-of]", node);
  marked.forEach((element) => {
    element.dataset.presence = presence;
    if (element.classList.contains("presence")) setText(element, presence);
  });
  return marked.length > 0;
}

function showAnswer({ node, name, value }) {
  const text = `${name}: ${value.ok ? "done" : value.error}`;
  elementsOf("answersOf", "[data-answers-of]", node).forEach((element) => setText(element, text));
  return true;
}

// Returns true if the elements of a sensor or node are made from this description of it.
function isDescribed({ kind, node, name, value }) {
  return elementsOf("digestOf", "[data-digest-of]", `${kind} ${node} ${name}`)
    .every((element) => element.dataset.digest === value.digest);
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
  if (event.kind === "status") return showPresence(event.node, event.value);
  if (event.kind === "result") return showAnswer(event);
  if (event.kind === "sensor" || event.kind === "about") return isDescribed(event);
  const found = places.get(event.topic) ?? [];
  return found.length > 0 && found.map((place) => showKind[event.kind](place, event)).every(Boolean);
}

function logLine({ value }) {
  const line = document.createElement("li");
  line.dataset.level = value.level;
  const parts = [["time", "", clock(value.timestamp_ms)], ["span", "level", value.level],
    ["span", "source", value.source], ["span", "message", value.message]];
  for (const [tag, name, text] of parts) {
    const part = document.createElement(tag);
    if (name) part.className = name;
    part.textContent = text;
    line.append(part);
  }
  return line;
}

function addLog(event) {
  const kept = logs.get(event.node) ?? [];
  kept.push(event);
  if (kept.length > LOG_LINES) kept.shift();
  logs.set(event.node, kept);
  const [panel] = elementsOf("log", "[data-log]", event.node);
  if (!panel) return false;
  const atEnd = panel.scrollHeight - panel.scrollTop - panel.clientHeight < 40;
  panel.append(logLine(event));
  while (panel.childElementCount > LOG_LINES) panel.firstElementChild.remove();
  if (atEnd) panel.scrollTop = panel.scrollHeight;
  return true;
}

function fillLogs() {
  document.querySelectorAll("[data-log]").forEach((panel) => {
    replaceContent(panel, (logs.get(panel.dataset.log) ?? []).map(logLine));
    panel.scrollTop = panel.scrollHeight;
  });
}

function showLog(node) {
  shownLog = node;
  document.querySelectorAll("[data-tab]").forEach((tab) => {
    const selected = tab.dataset.tab === node;
    tab.setAttribute("aria-selected", selected);
    tab.tabIndex = selected ? 0 : -1;
  });
  document.querySelectorAll("[data-log]").forEach((panel) => {
    panel.hidden = panel.dataset.log !== node;
    panel.scrollTop = panel.scrollHeight;
  });
}

function moveTab(event) {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!step || !event.target.matches("[data-tab]")) return;
  const tabs = [...document.querySelectorAll("[data-tab]")];
  const next = tabs[(tabs.indexOf(event.target) + step + tabs.length) % tabs.length];
  showLog(next.dataset.tab);
  next.focus();
}

function findPlaces() {
  places = new Map();
  document.querySelectorAll("[data-topic]").forEach((element) => {
    const topic = element.dataset.topic;
    places.set(topic, [...(places.get(topic) ?? []), element]);
  });
  const tabs = [...document.querySelectorAll("[data-tab]")].map((tab) => tab.dataset.tab);
  if (tabs.length) showLog(tabs.includes(shownLog) ? shownLog : tabs[0]);
  document.querySelectorAll("time[data-ms]").forEach((at) => setText(at, clock(Number(at.dataset.ms))));
}

// Shows everything; returns true if every value has an element.
function showAll() {
  const placed = [...latest.values()].map(show).every(Boolean);
  fillLogs();
  return placed && [...logs.keys()].every((node) => elementsOf("log", "[data-log]", node).length);
}

let swapTimer = 0;
let swappedMs = -SWAP_MS;

function swapSoon() {
  if (swapTimer) return;
  // A partial page has no element for some topics, however often it is fetched.
  const pauseMs = document.querySelector("main[data-partial]") ? PARTIAL_SWAP_MS : SWAP_MS;
  swapTimer = setTimeout(swap, Math.max(0, swappedMs + pauseMs - performance.now()));
}

async function swap() {
  let again = false;
  try {
    const page = await fetch(urlOf("/"));
    if (page.redirected) location.replace(page.url);
    if (!page.ok || page.redirected) return;
    const fresh = new DOMParser().parseFromString(await page.text(), "text/html");
    const open = [...document.querySelectorAll("details[open]")].map((details) => details.id);
    const focused = document.activeElement?.id;
    const answer = document.getElementById("plugin-answer")?.textContent ?? "";
    document.querySelector("main").replaceWith(document.adoptNode(fresh.querySelector("main")));
    open.forEach((id) => id && document.getElementById(id)?.setAttribute("open", ""));
    setText(document.getElementById("plugin-answer"), answer);
    if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
    findPlaces();
    drawCoverage();
    refreshBroker();
    // Topics that appeared while the page was fetched may need another one.
    again = !showAll();
  } catch {
    // The hub does not answer. The next snapshot starts another swap.
  } finally {
    swappedMs = performance.now();
    swapTimer = 0;
    if (again) swapSoon();
  }
}

function onSnapshot({ entries, logs: lines }) {
  latest.clear();
  logs.clear();
  const shown = entries.filter((entry) => entry.kind !== "alarm");
  shown.forEach((entry) => latest.set(entry.topic, entry));
  lines.forEach((line) => logs.set(line.node, [...(logs.get(line.node) ?? []), line]));
  if (!showAll()) swapSoon();
}

function onUpdate(change) {
  if (change.kind === "alarm") return; // the page of alarms shows these
  if (change.value === null) {
    latest.delete(change.topic);
    if (change.kind === "status") logs.delete(change.node);
    swapSoon();
    return;
  }
  if (change.kind === "event") return; // something that happened has no element
  if (change.kind !== "log") latest.set(change.topic, change);
  if (!(change.kind === "log" ? addLog(change) : show(change))) swapSoon();
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (button?.dataset.node) command(button);
  if (button?.dataset.remove) askToRemove(button.dataset.remove);
  if (button?.dataset.nameOf) askForName(button);
  if (button?.dataset.settingsOf) askForSettings(latest.get(button.dataset.settingsOf));
  if (button?.dataset.tab) showLog(button.dataset.tab);
});
document.addEventListener("keydown", moveTab);

function updateCoverage() {
  if (isOpen()) refreshCoverage(hubNow());
}

findPlaces();
drawCoverage();
follow("/events", { onSnapshot, onUpdate });
setInterval(showAges, 1000);
setTimeout(updateCoverage, FIRST_COVERAGE_MS);
setInterval(updateCoverage, COVERAGE_MS);
refreshBroker();
setInterval(() => isOpen() && refreshBroker(), BROKER_MS);
