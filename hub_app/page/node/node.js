// View of one node: its state as it changes, its outputs, plugins and log. The hub renders what is new.
import { command } from "../commands/commands.js";
import { askForName } from "../commands/names.js";
import { send } from "../commands/post.js";
import { askToRemove } from "../commands/removal.js";
import { askForSettings } from "../commands/settings.js";
import { elementsOf, replaceContent, setText } from "../live/elements.js";
import { showIn } from "../live/outputs.js";
import { urlOf } from "../live/paths.js";
import { showAges, showFields } from "../live/readings.js";
import { follow } from "../live/stream.js";
import { swapParts } from "../live/swap.js";
import { itemOf, keyOf, lineOf, showTimes } from "../log/lines.js";
import { startHealth } from "./health.js";
import { sendColor } from "./outputs.js";
import { askToRename } from "./rename.js";

const MOST_LINES = 300;
const SOON_MS = 300;
const PARTS = ["about", "beat", "outputs", "plugins", "costs", "shadows", "sensors"];

const { node } = document.querySelector("main").dataset;
const box = document.getElementById("log-box");
const list = document.getElementById("lines");
const plugins = new Map(); // topic -> newest event of a plugin's state
const alarms = new Map(); // topic -> text of an active alarm

let seen = new Set(); // lines of the first page, which may arrive as events, too
let digests = new Map(); // topic -> digest of a description that the page has
let timer = 0;
let isLeaving = false;

function swapSoon() {
  clearTimeout(timer);
  timer = setTimeout(() => swapParts(PARTS), SOON_MS);
}

const placesOf = (topic) => elementsOf("topic", "[data-topic]", topic);

function describe({ topic, value }) {
  const isNew = digests.get(topic) !== value.digest;
  digests.set(topic, value.digest);
  return !isNew;
}

// Each returns false where the hub has to render something new.
const onKind = {
  leds: showIn,
  oled: showIn,
  buzzer: showIn,
  fan: showIn,
  reading: showIn,
  about: (_places, event) => describe(event),
  sensor: (_places, event) => describe(event),
  heartbeat(places, { value }) {
    places.forEach((place) => showFields(place, value));
    return places.every((place) => place.querySelector("[data-field]"));
  },
  plugin(_places, event) {
    const before = plugins.get(event.topic);
    plugins.set(event.topic, event);
    return JSON.stringify(before?.value) === JSON.stringify(event.value);
  },
  // Every half a minute, and when a plugin was recorded.
  costs: () => false,
  record: () => false,
  shadow: () => false,
  alarm(_places, { topic, value }) {
    const before = alarms.get(topic);
    alarms.set(topic, value.text);
    return before === value.text;
  },
  status(_places, { value: { presence } }) {
    elementsOf("presenceOf", "[data-presence-of]", node).forEach((element) => {
      const isOther = element.dataset.presence !== presence;
      element.dataset.presence = presence;
      if (element.classList.contains("presence")) setText(element, presence);
      if (isOther) swapSoon();
    });
    return true;
  },
  log(_places, event) {
    addLine(lineOf(event));
    return true;
  },
  result(_places, { name, value }) {
    if (name !== "plugins") setText(document.getElementById("output-answer"), `${name}: ${value.ok ? "done" : value.error}`);
    return true;
  },
};

function addLine(line) {
  if (seen.has(keyOf(line))) return;
  const follows = box.scrollHeight - box.scrollTop - box.clientHeight < 40;
  list.append(itemOf(line));
  while (list.childElementCount > MOST_LINES) list.firstElementChild.remove();
  if (follows) box.scrollTop = box.scrollHeight;
}

async function loadLines() {
  seen = new Set();
  try {
    const answer = await fetch(urlOf(`/api/logs?${new URLSearchParams({ node, limit: 100 })}`));
    if (!answer.ok) return;
    const { logs } = await answer.json();
    const known = new Set(logs.map(keyOf));
    const later = [...list.children].filter(({ dataset }) => Number(dataset.at) > (logs[logs.length - 1]?.at_ms ?? 0));
    replaceContent(list, [...logs.map(itemOf), ...later]);
    seen = known;
    box.scrollTop = box.scrollHeight;
  } catch {
    // The hub does not answer; the lines stay as they are.
  }
}

function onEvent(event) {
  if (event.node !== node) return;
  if (event.value === null) onGone(event);
  else if (onKind[event.kind] && !onKind[event.kind](placesOf(event.topic), event)) swapSoon();
}

function onGone({ kind, topic }) {
  plugins.delete(topic);
  alarms.delete(topic);
  if (kind !== "status") swapSoon();
  else if (!isLeaving) location.assign(urlOf("/"));
}

// What the page was rendered with may be older than the snapshot.
async function onSnapshot({ entries }) {
  alarms.clear();
  plugins.clear();
  digests = new Map();
  entries.forEach((event) => onEvent(event));
  await swapParts(PARTS);
  loadLines();
}

async function setFan(mode) {
  const fault = await send("POST", "/api/fan", { node, mode });
  if (fault) setText(document.getElementById("output-answer"), `fan: ${fault}`);
}

async function endShadow({ shadowOf, path }) {
  const fault = await send("POST", path, { plugin: shadowOf, nodes: [node] });
  setText(document.getElementById("plugin-answer"), fault ? `${shadowOf}: ${fault}` : "");
}

document.addEventListener("click", ({ target }) => {
  const button = target.closest("button");
  if (!button) return;
  const { dataset } = button;
  if (dataset.node) command(button);
  if (dataset.fan) setFan(dataset.fan);
  if (dataset.shadowOf) endShadow(dataset);
  if (dataset.nameOf) askForName(button);
  if (dataset.settingsOf) askForSettings(plugins.get(dataset.settingsOf));
  if (dataset.remove) askToRemove(dataset.remove);
  if (dataset.rename) askToRename(dataset.rename, () => (isLeaving = true));
  sendColor(node, button);
});

showTimes();
box.scrollTop = box.scrollHeight;
startHealth();
follow(`/events?${new URLSearchParams({ view: "node", node })}`, { onSnapshot, onUpdate: onEvent });
setInterval(showAges, 1000);
