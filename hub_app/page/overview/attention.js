// Lines of what needs attention, which the overview shows first, and marks at the tiles of the sensors.
import { attentionItems } from "../frame/attention.js";
import { replaceContent, setText } from "../live/elements.js";
import { urlOf } from "../live/paths.js";
import { hubNow } from "../live/stream.js";
import { duration } from "../live/values.js";

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

// `latest` has the newest event of each topic.
export function showAttention(latest) {
  const panel = document.getElementById("attention");
  const events = [...latest.values()];
  const items = attentionItems();
  const sensors = new Set(events.filter(({ kind }) => kind === "reading").map(({ node, name }) => `${node} ${name}`));
  const titles = new Map(events.filter(({ kind }) => kind === "about").map(({ node, value }) => [node, value.description.title]));
  replaceContent(panel.querySelector("ul"), items.map((item) => lineOf(item, titles, sensors.has(`${item.node} ${item.name}`))));
  panel.hidden = !items.length;
  markTiles(items);
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
