// Lines of what needs attention, in the order of the dashboard plugin, and their count in header and title.
import { replaceContent, setText } from "../live/elements.js";
import { urlOf } from "../live/paths.js";
import { hubNow } from "../live/stream.js";
import { duration } from "../live/values.js";

const SEVERITIES = ["info", "warning", "critical"];

let announced = null; // texts of the alarms that were there at the last look

function alarmItem({ node, value }) {
  const { severity, sensor, text, since_ms: sinceMs, acknowledged } = value;
  return { severity, node, name: sensor, text, sinceMs, acknowledged };
}

function faultItem({ kind, node, name, value }) {
  if (kind === "plugin" && value.state === "failed") {
    return { severity: "warning", node, name, text: `plugin ${name} failed`, sinceMs: null };
  }
  if (kind === "status" && value.presence !== "online") {
    return { severity: "critical", node, name: "", text: `node ${value.presence}`, sinceMs: value.heard_ms };
  }
  return null;
}

function order(a, b) {
  const [left, right] = [a, b].map((item) =>
    [Number(Boolean(item.acknowledged)), -SEVERITIES.indexOf(item.severity), item.node, item.name]);
  const at = left.findIndex((part, i) => part !== right[i]);
  return at < 0 ? 0 : left[at] < right[at] ? -1 : 1;
}

function itemsOf(events) {
  const alarms = events.filter(({ kind }) => kind === "alarm").map(alarmItem);
  const named = new Set(alarms.map(({ node, name }) => `${node} ${name}`));
  const faults = events.map(faultItem).filter((item) => item && !named.has(`${item.node} ${item.name}`));
  return [...alarms, ...faults].sort(order);
}

function made(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.textContent = text;
  return element;
}

const sinceText = (sinceMs) => (sinceMs === null ? "" : `for ${duration(Math.max(0, hubNow() - sinceMs) / 1000)}`);

function lineOf({ severity, node, name, text, sinceMs, acknowledged }, titles, isSensor) {
  const line = document.createElement("li");
  line.dataset.severity = severity;
  line.toggleAttribute("data-acknowledged", Boolean(acknowledged));
  const title = titles.get(node) || node;
  const link = made("a", "", title);
  link.href = urlOf(isSensor ? `/sensor/${node}/${name}` : `/node/${node}`);
  const since = made("span", "since", sinceText(sinceMs));
  if (sinceMs !== null) since.dataset.since = sinceMs;
  // The link names the node already.
  const what = text.startsWith(`${title}: `) ? text.slice(title.length + 2) : text;
  line.append(link, made("span", "what", what), since);
  return line;
}

function announce(items) {
  const texts = items.filter(({ acknowledged }) => !acknowledged).map(({ node, text }) => `${node}: ${text}`);
  const fresh = announced ? texts.filter((text) => !announced.has(text)) : [];
  announced = new Set(texts);
  if (fresh.length) document.getElementById("announcement").textContent = fresh.join(". ");
}

// `latest` has the newest event of each topic.
export function showAttention(latest) {
  const panel = document.getElementById("attention");
  const events = [...latest.values()];
  const items = itemsOf(events);
  const count = items.filter(({ acknowledged }) => !acknowledged).length;
  const sensors = new Set(events.filter(({ kind }) => kind === "reading").map(({ node, name }) => `${node} ${name}`));
  const titles = new Map(events.filter(({ kind }) => kind === "about").map(({ node, value }) => [node, value.description.title]));
  replaceContent(panel.querySelector("ul"), items.map((item) => lineOf(item, titles, sensors.has(`${item.node} ${item.name}`))));
  panel.hidden = !items.length;
  const counter = document.getElementById("attention-count");
  counter.hidden = !count;
  setText(counter.querySelector("a"), `${count} ${count === 1 ? "needs" : "need"} attention`);
  document.title = count ? `(${count}) HARVESTER` : "HARVESTER";
  markTiles(items);
  announce(items);
}

function markTiles(items) {
  const severities = new Map(items.filter(({ name }) => name).reverse().map((item) => [`${item.node}:${item.name}`, item]));
  document.querySelectorAll(".reading[data-severity]").forEach((tile) => tile.removeAttribute("data-severity"));
  document.querySelectorAll("[data-spark-of]").forEach((spark) => {
    const item = severities.get(spark.dataset.sparkOf);
    if (item) spark.parentElement.dataset.severity = item.severity;
  });
}

export function showSince() {
  document.querySelectorAll("[data-since]").forEach((element) => setText(element, sinceText(Number(element.dataset.since))));
}
