// What needs attention: alarms, nodes that are gone and plugins that failed. Every view counts it in its
// header and title, and screen readers hear what is new. The order is that of the dashboard plugin.
import { setText } from "../live/elements.js";

const KINDS = ["alarm", "status", "plugin"];
const SEVERITIES = ["info", "warning", "critical"];
// The kind of rule whose alarm names a fault.
const RULE_KINDS = { status: "lost", plugin: "plugin" };

const latest = new Map(); // topic -> newest event of these kinds
let title = document.title.replace(/^\(\d+\) /, "");
let announced = null; // texts of what was there at the last look

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

// Returns what needs attention, the most urgent first. A fault that has an alarm is named by the alarm alone.
export function attentionItems() {
  const events = [...latest.values()];
  const alarms = events.filter(({ kind }) => kind === "alarm");
  const named = new Set(alarms.map(({ node, value }) => `${value.kind} ${node} ${value.sensor}`));
  const isNamed = ({ kind, node, name }) => named.has(`${RULE_KINDS[kind]} ${node} ${name}`);
  const faults = events.filter((event) => !isNamed(event)).map(faultItem).filter(Boolean);
  return [...alarms.map(alarmItem), ...faults].sort(order);
}

const openItems = () => attentionItems().filter(({ acknowledged }) => !acknowledged);

// Sets the title of the page, behind the count.
export function setTitle(text) {
  title = text;
  showCount(openItems().length);
}

function showCount(count) {
  const prefix = count ? `(${count}) ` : "";
  if (document.title !== prefix + title) document.title = prefix + title;
  const counter = document.getElementById("attention-count");
  counter.hidden = !count;
  setText(counter.querySelector("a"), `${count} ${count === 1 ? "needs" : "need"} attention`);
}

function announce(items) {
  const texts = items.map(({ severity, node, text }) => `New ${severity} of ${node}: ${text}`);
  const fresh = announced ? texts.filter((text) => !announced.has(text)) : [];
  announced = new Set(texts);
  if (fresh.length) setText(document.getElementById("announcement"), fresh.join(". "));
}

function show() {
  const items = openItems();
  showCount(items.length);
  announce(items);
}

// Takes the entries of a snapshot.
export function keepAttention(entries) {
  latest.clear();
  entries.filter(({ kind }) => KINDS.includes(kind)).forEach((entry) => latest.set(entry.topic, entry));
  show();
}

// Takes an event, if it is of these kinds.
export function followAttention(event) {
  if (!KINDS.includes(event.kind)) return;
  if (event.value === null) latest.delete(event.topic);
  else latest.set(event.topic, event);
  show();
}
