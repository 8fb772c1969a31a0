// Keeps the page as new as the hub. The dashboard plugin renders every element; this file finds
// them by their data-attributes and sets text and attributes only. Text from the bus never becomes
// markup. Where a topic has no element yet, the page is rendered anew and its <main> swapped in.
import { refreshBroker } from "./broker.js";
import { command } from "./commands.js";
import { drawCoverage, refreshCoverage } from "./coverage.js";
import { elementsOf, setText } from "./elements.js";
import { clock, duration, write } from "./values.js";

const RETRY_MS = 2000;
// The hub says the time every 10 s; twice that without a word is a dead link.
const SILENT_MS = 25000;
const SWAP_MS = 1000;
// The first samples are in the history a little after they are on the bus.
const FIRST_COVERAGE_MS = 4000;
const COVERAGE_MS = 60000;
const BROKER_MS = 10000;
const LOG_LINES = 500;
const COLOR = /^#[0-9a-f]{6}$/;
const SVG = "http://www.w3.org/2000/svg";

const latest = new Map(); // topic -> newest event of it
const logs = new Map(); // node -> newest log events, oldest first
let places = new Map(); // topic -> elements that show it
let hubOffsetMs = 0; // hub's clock minus this page's monotonic one
let heardMs = 0; // when the stream last said anything
let source = null;
let shownLog = "";

const hubNow = () => performance.now() + hubOffsetMs;

// A field may be called anything, "constructor" too.
const own = (data, name) => (name !== undefined && Object.hasOwn(data, name) ? data[name] : undefined);

function showField(row, data) {
  const isPending = [0, false].includes(own(data, row.dataset.unlessZero));
  const value = isPending ? row.dataset.meanwhile : own(data, row.dataset.field);
  row.toggleAttribute("data-pending", isPending);
  const total = own(data, row.dataset.full);
  setText(row.querySelector(".value"), write(value, row.dataset));
  if (row.dataset.first) row.title = value;
  setText(row.querySelector(".total"), write(total, { decimals: row.dataset.decimals }));
  showBand(row, value);
  const bar = row.querySelector("meter");
  const full = Number(total ?? row.dataset.full);
  if (bar && Number.isFinite(full)) {
    bar.max = full;
    bar.value = Number.isFinite(value) ? value : 0;
  }
}

function showBand(row, value) {
  if (!row.dataset.bands) return;
  const bands = JSON.parse(row.dataset.bands);
  const known = value !== undefined && typeof value !== "string";
  const [, tone, word] = (known && bands.find(([upper]) => upper === null || value <= upper)) || [null, "", ""];
  if (tone) row.dataset.tone = tone;
  else delete row.dataset.tone;
  setText(row.querySelector(".band"), word);
}

// Shows every field, and returns whether each had a place.
function showFields(place, data) {
  const rows = [...place.querySelectorAll("[data-field]")];
  rows.forEach((row) => showField(row, data));
  const placed = new Set(rows.flatMap((row) => [row.dataset.field, row.dataset.full]));
  return Object.keys(data).every((name) => placed.has(name));
}

// --- what each kind of topic does to its elements; true where everything had a place ---------

const shows = {
  reading(place, { value }) {
    place.dataset.at = value.at_ms;
    place.dataset.staleAfter = value.stale_after_ms;
    showAge(place);
    return showFields(place, value.data);
  },
  heartbeat(place, { value }) {
    showFields(place, value);
    return true;
  },
  plugin(place, { value }) {
    place.dataset.plugin = value.state;
    showFields(place, value);
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

function showPresence(node, presence) {
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

function show(event) {
  if (event.kind === "status") return showPresence(event.node, event.value.presence);
  if (event.kind === "result") return showAnswer(event);
  const found = places.get(event.topic) ?? [];
  return found.length > 0 && found.map((place) => shows[event.kind](place, event)).every(Boolean);
}

// --- ages -------------------------------------------------------------------------------------

function showAge(place) {
  const ageMs = Math.max(0, hubNow() - Number(place.dataset.at));
  place.toggleAttribute("data-stale", ageMs > Number(place.dataset.staleAfter));
  setText(place.querySelector(".age"), `${duration(ageMs / 1000)} ago`);
}

function tick() {
  document.querySelectorAll("[data-at]").forEach(showAge);
  if (source && performance.now() - heardMs > SILENT_MS) connect();
}

// --- logs -------------------------------------------------------------------------------------

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
    panel.replaceChildren(...(logs.get(panel.dataset.log) ?? []).map(logLine));
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

// --- the page as a whole ----------------------------------------------------------------------

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

// Returns whether everything had a place.
function showAll() {
  const placed = [...latest.values()].map(show).every(Boolean);
  fillLogs();
  return placed && [...logs.keys()].every((node) => elementsOf("log", "[data-log]", node).length);
}

let swapTimer = 0;
let swappedMs = -SWAP_MS;

function swapSoon() {
  if (swapTimer) return;
  swapTimer = setTimeout(swap, Math.max(0, swappedMs + SWAP_MS - performance.now()));
}

async function swap() {
  let again = false;
  try {
    const page = await fetch("/");
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
    // What came while the new page was on its way may need yet another one.
    again = !showAll();
  } catch {
    // The hub is away; its snapshot asks for the swap again.
  } finally {
    swappedMs = performance.now();
    swapTimer = 0;
    if (again) swapSoon();
  }
}

// --- the stream -------------------------------------------------------------------------------

function light(state, text) {
  const connection = document.getElementById("connection");
  connection.dataset.state = state;
  setText(connection.querySelector(".text"), text);
}

function hear(event) {
  heardMs = performance.now();
  const said = JSON.parse(event.data);
  hubOffsetMs = said.now_ms - heardMs;
  return said;
}

function onSnapshot(event) {
  const { entries, logs: lines } = hear(event);
  latest.clear();
  logs.clear();
  entries.forEach((entry) => latest.set(entry.topic, entry));
  lines.forEach((line) => logs.set(line.node, [...(logs.get(line.node) ?? []), line]));
  light("live", "live");
  if (!showAll()) swapSoon();
}

function onUpdate(event) {
  const said = hear(event);
  if (said.kind !== "log") latest.set(said.topic, said);
  if (!(said.kind === "log" ? addLog(said) : show(said))) swapSoon();
}

let retryTimer = 0;

function disconnect() {
  clearTimeout(retryTimer);
  source?.close();
  source = null;
}

function connect() {
  disconnect();
  heardMs = performance.now();
  source = new EventSource("/events");
  source.addEventListener("snapshot", onSnapshot);
  source.addEventListener("update", onUpdate);
  source.addEventListener("time", hear);
  source.onerror = () => {
    light("lost", "reconnecting");
    disconnect();
    retryTimer = setTimeout(connect, RETRY_MS);
    leaveIfLoggedOut();
  };
}

// A stream does not tell why it was refused.
async function leaveIfLoggedOut() {
  try {
    const answer = await fetch("/api/session");
    if (answer.status === 401) location.replace("/login");
  } catch {
    // The hub is away: the stream is tried again.
  }
}

// A page that nobody sees holds no stream; a snapshot brings it up to date when it is seen again.
function followVisibility() {
  if (document.hidden) {
    disconnect();
    light("connecting", "paused");
  } else if (!source) connect();
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (button?.dataset.node) command(button);
  if (button?.dataset.tab) showLog(button.dataset.tab);
});
document.addEventListener("keydown", moveTab);
document.addEventListener("visibilitychange", followVisibility);
addEventListener("pagehide", disconnect);
addEventListener("pageshow", (event) => event.persisted && followVisibility());

function cover() {
  if (source) refreshCoverage(hubNow());
}

findPlaces();
followVisibility();
setInterval(tick, 1000);
setTimeout(cover, FIRST_COVERAGE_MS);
setInterval(cover, COVERAGE_MS);
refreshBroker();
setInterval(() => source && refreshBroker(), BROKER_MS);
