// View of the log: lines of all nodes as they arrive, older ones on demand, filters in the address.
import { replaceContent, setText } from "../live/elements.js";
import { urlOf } from "../live/paths.js";
import { change, follow } from "../live/stream.js";
import { itemOf, keyOf, lineOf, showTimes } from "./lines.js";

const PAGE_LINES = 200;
const MOST_LINES = 1000;
const TYPING_MS = 300;
// Lines that arrive within this time are shown together: a browser lays out and paints for each time.
const TOGETHER_MS = 250;
const NEAR_END_PX = 40;
const FILTERS = ["level", "node", "source", "text"];

const form = document.getElementById("filters");
const box = document.getElementById("log-box");
const list = document.getElementById("lines");
const older = document.getElementById("older");
const pause = document.getElementById("pause");

let shown = []; // lines of the items, oldest first
let pending = null; // lines that arrive while the newest page is fetched
let arrived = []; // lines that are to be shown
let addedMs = 0;
let adding = 0;
let before = null;
let missed = 0;
let asked = 0;
let isLoaded = false; // since then, `before` is known
let isOlderWanted = false;
let typing = 0;

const isPaused = () => pause.getAttribute("aria-pressed") === "true";
const until = () => new URLSearchParams(location.search).get("to");
const isLive = () => !until() && !isPaused();
const isAtEnd = () => box.scrollHeight - box.scrollTop - box.clientHeight < NEAR_END_PX;

// Filters that let some lines pass only; the first level lets every line pass.
function filters() {
  const found = FILTERS.map((name) => [name, form.elements[name].value.trim()]);
  return Object.fromEntries(found.filter(([name, value]) => value && !(name === "level" && value === "debug")));
}

function say() {
  const count = `${shown.length} lines`;
  if (until()) setText(document.getElementById("log-status"), `${count}, no new ones: an end is set`);
  else if (isPaused()) setText(document.getElementById("log-status"), `${count}, paused; ${missed} new`);
  else if (missed) setText(document.getElementById("log-status"), `${count}; ${missed} new ones at the end`);
  else setText(document.getElementById("log-status"), count);
}

function showOlder() {
  older.hidden = before === null;
}

async function fetchLines(more) {
  const answer = await fetch(urlOf(`/api/logs?${new URLSearchParams({ ...filters(), limit: PAGE_LINES, ...more })}`));
  const body = await answer.json();
  if (!answer.ok) throw new Error(body.error);
  return body;
}

function told(error) {
  return error instanceof TypeError ? "The hub does not answer." : error.message;
}

// Shows the newest lines that pass the filters, then those that arrived meanwhile.
async function load() {
  const mine = ++asked;
  pending = takeArrived();
  const fault = document.getElementById("fault");
  try {
    const page = await fetchLines(until() ? { to: until() } : {});
    if (mine !== asked) return;
    const known = new Set(page.logs.map(keyOf));
    shown = [...page.logs, ...pending.filter((line) => !known.has(keyOf(line)))];
    ({ before } = page);
    replaceContent(list, shown.map(itemOf));
    showOlder();
    missed = 0;
    setText(fault, "");
    box.scrollTop = box.scrollHeight;
  } catch (error) {
    if (mine === asked) setText(fault, told(error));
  } finally {
    if (mine === asked) onLoaded();
    say();
  }
}

function onLoaded() {
  pending = null;
  isLoaded = true;
  if (isOlderWanted) loadOlder();
}

async function loadOlder() {
  const mine = asked;
  // A click before the newest page is there counts once it is.
  isOlderWanted = pending !== null || !isLoaded;
  if (isOlderWanted || before === null) return;
  try {
    const page = await fetchLines({ before });
    if (mine !== asked) return;
    const height = box.scrollHeight;
    shown = [...page.logs, ...shown];
    ({ before } = page);
    list.prepend(...page.logs.map(itemOf));
    box.scrollTop += box.scrollHeight - height;
    showOlder();
    say();
  } catch (error) {
    setText(document.getElementById("fault"), told(error));
  }
}

function addSoon(line) {
  arrived.push(line);
  if (!adding) adding = setTimeout(addArrived, Math.max(0, addedMs + TOGETHER_MS - performance.now()));
}

function takeArrived() {
  clearTimeout(adding);
  adding = 0;
  return arrived.splice(0);
}

function addArrived() {
  const lines = takeArrived();
  addedMs = performance.now();
  const follows = isAtEnd();
  // Who reads older lines keeps them, and new ones wait at the hub where there are too many.
  if (missed || (!follows && shown.length > MOST_LINES)) missed += lines.length;
  else {
    shown.push(...lines);
    list.append(...lines.map(itemOf));
    if (follows) trim();
    if (follows) box.scrollTop = box.scrollHeight;
  }
  say();
}

// Removes the oldest lines of too many; paging goes on before the oldest that is left.
function trim() {
  while (shown.length > MOST_LINES && shown[1].id) {
    shown.shift();
    list.firstElementChild.remove();
    before = shown[0].id;
    showOlder();
  }
  if (shown.length > MOST_LINES + PAGE_LINES) load();
}

function onUpdate(event) {
  if (event.kind !== "log") return;
  const line = lineOf(event);
  if (pending) pending.push(line);
  else if (isLive()) addSoon(line);
  else missed++;
  if (isPaused()) say();
}

function onSnapshot() {
  if (isLive()) load();
}

const streamPath = () => `/events?${new URLSearchParams({ view: "log", ...filters() })}`;

// Shows what the filters say, which the address has as well.
function apply(isNew) {
  const found = new URLSearchParams(filters());
  const end = form.elements.until.value;
  if (end) found.set("to", new Date(end).toISOString());
  if (isNew) history.replaceState(null, "", `?${found}`);
  isOlderWanted = false;
  takeArrived(); // by the filters before
  change(streamPath());
  load();
}

function readAddress() {
  const params = new URLSearchParams(location.search);
  FILTERS.forEach((name) => (form.elements[name].value = params.get(name) ?? (name === "level" ? "debug" : "")));
  const at = new Date(until() ?? "");
  const isNone = Number.isNaN(at.getTime());
  form.elements.until.value = isNone ? "" : new Date(at - at.getTimezoneOffset() * 60000).toISOString().slice(0, 19);
}

["input", "change"].forEach((name) => form.addEventListener(name, () => {
  clearTimeout(typing);
  typing = setTimeout(() => apply(true), TYPING_MS);
}));
form.addEventListener("submit", (event) => {
  event.preventDefault();
  clearTimeout(typing);
  apply(true);
});
pause.addEventListener("click", () => {
  pause.setAttribute("aria-pressed", String(!isPaused()));
  setText(pause, isPaused() ? "Continue" : "Pause");
  if (isPaused()) say();
  else load();
});
box.addEventListener("scroll", () => missed && !pending && isLive() && isAtEnd() && load());
older.addEventListener("click", (event) => {
  event.preventDefault();
  loadOlder();
});
addEventListener("popstate", () => {
  readAddress();
  apply(false);
});

document.querySelectorAll(".scripted").forEach((element) => (element.hidden = false));
document.querySelectorAll(".unscripted").forEach((element) => (element.hidden = true));
readAddress();
showTimes();
box.scrollTop = box.scrollHeight;
follow(streamPath(), { onSnapshot, onUpdate });
if (until()) load();
