// Heading of the sensor view: presence of the node, active alarms, and the main value in the title of the page.
import { setTitle } from "../frame/attention.js";
import { replaceContent, setText } from "../live/elements.js";

const alarms = new Map(); // topic -> active alarm of the sensor

export function showPresence({ presence }) {
  document.querySelectorAll("[data-presence-of]").forEach((element) => {
    element.dataset.presence = presence;
    if (element.classList.contains("presence")) setText(element, presence);
  });
}

// Takes the event of an alarm of the sensor.
export function keepAlarm({ topic, value }) {
  alarms.set(topic, value);
  showAlarms();
}

// Takes the event of an alarm that is over, if it is one.
export function dropAlarm({ topic }) {
  if (alarms.delete(topic)) showAlarms();
}

export function dropAlarms() {
  alarms.clear();
  showAlarms();
}

function showAlarms() {
  replaceContent(document.getElementById("alarms"), [...alarms.values()].map(({ severity, text }) => {
    const line = document.createElement("li");
    line.dataset.severity = severity;
    line.textContent = text;
    return line;
  }));
}

// The tab of a page that is kept open has the main value.
export function showTitle(name) {
  const parts = document.querySelector(".now .field dd")?.querySelectorAll(".value, .unit") ?? [];
  const words = [...parts].map((part) => part.textContent);
  if (words.length) setTitle(`${words.join(" ")} \u00b7 ${name}`);
}
