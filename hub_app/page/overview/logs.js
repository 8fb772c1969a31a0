// Logs of the nodes: a tab and a panel each, newest line at the bottom.
import { replaceContent, setText } from "../live/elements.js";
import { clock } from "../live/values.js";
import { placesOf } from "./places.js";

const LOG_LINES = 500;

const logs = new Map(); // node -> newest log events, oldest first
let shownLog = "";

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

export function keepLogs(lines) {
  logs.clear();
  lines.forEach((line) => logs.set(line.node, [...(logs.get(line.node) ?? []), line]));
}

export const forgetLog = (node) => logs.delete(node);

// Returns true if the node has a panel.
export function addLog(event) {
  const kept = logs.get(event.node) ?? [];
  kept.push(event);
  if (kept.length > LOG_LINES) kept.shift();
  logs.set(event.node, kept);
  const [panel] = placesOf("log", event.node);
  if (!panel) return false;
  const atEnd = panel.scrollHeight - panel.scrollTop - panel.clientHeight < 40;
  panel.append(logLine(event));
  while (panel.childElementCount > LOG_LINES) panel.firstElementChild.remove();
  if (atEnd) panel.scrollTop = panel.scrollHeight;
  return true;
}

// Fills every panel; returns true if every node has one.
export function fillLogs() {
  document.querySelectorAll("[data-log]").forEach((panel) => {
    replaceContent(panel, (logs.get(panel.dataset.log) ?? []).map(logLine));
    panel.scrollTop = panel.scrollHeight;
  });
  return [...logs.keys()].every((node) => placesOf("log", node).length);
}

export function showLog(node) {
  shownLog = node;
  document.querySelectorAll("[data-tab]").forEach((tab) => {
    const selected = tab.dataset.tab === node;
    tab.setAttribute("aria-selected", selected);
    tab.tabIndex = selected ? 0 : -1;
  });
  document.querySelectorAll("[data-log]").forEach((panel) => {
    panel.parentElement.hidden = panel.dataset.log !== node;
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

// Shows the log that was shown before, and every time by this machine's clock.
export function findTabs() {
  const tabs = [...document.querySelectorAll("[data-tab]")].map((tab) => tab.dataset.tab);
  if (tabs.length) showLog(tabs.includes(shownLog) ? shownLog : tabs[0]);
  document.querySelectorAll("time[data-ms]").forEach((at) => setText(at, clock(Number(at.dataset.ms))));
}

document.addEventListener("keydown", moveTab);
