// Items of log lines, as the hub renders them, too.
import { urlOf } from "../live/paths.js";
import { dateAndTime } from "../live/values.js";

function part(tag, name, text) {
  const element = document.createElement(tag);
  element.className = name;
  element.textContent = text;
  return element;
}

// Makes the item of a line of `/api/logs`.
export function itemOf({ id, node, at_ms: at, timestamp_ms: taken, level, source, message }) {
  const item = document.createElement("li");
  Object.assign(item.dataset, { level, at, taken, ...(id && { id }) });
  const time = part("time", "", dateAndTime(at));
  time.dataset.ms = at;
  const link = part("a", "node", node);
  link.href = urlOf(`/node/${encodeURIComponent(node)}`);
  const parts = [time, link, part("span", "level", level), part("span", "source", source), part("span", "message", message)];
  item.append(...parts.flatMap((each) => [each, " "]));
  return item;
}

// Makes the line of an event, which has no id yet.
export function lineOf({ node, now_ms: at_ms, value }) {
  return { id: 0, node, at_ms, ...value };
}

// The same for the event of a line and for the line in the log file.
export const keyOf = ({ node, at_ms: at, timestamp_ms: taken, level, source, message }) =>
  JSON.stringify([node, at, taken, level, source, message]);

// Writes the times of the hub's page in the browser's time zone.
export function showTimes(place = document) {
  place.querySelectorAll("time[data-ms]").forEach((time) => (time.textContent = dateAndTime(Number(time.dataset.ms))));
}
