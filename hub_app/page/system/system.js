// View of broker and hub. Its figures are not in the event stream, so they are polled.
import { Chart } from "../chart/chart.js";
import { urlOf } from "../live/paths.js";
import { follow, hubNow, isOpen } from "../live/stream.js";
import { swapParts } from "../live/swap.js";
import { showTimes } from "../log/lines.js";

const REFRESH_MS = 10000;
const RATES_MS = 5000;
const SHOWN_MS = 900000;
const PARTS = [
  ...["faults", "hub", "broker", "storage", "rates", "refused", "quotas", "certificates"],
  ...["homeassistant", "versions"],
];

let chart = null;
let last = null; // counts of messages and their time

function makeChart() {
  const panel = document.getElementById("traffic");
  panel.hidden = false;
  const made = new Chart(panel.querySelector(".chart"), { from: hubNow() - SHOWN_MS, to: hubNow() });
  const format = (value) => `${value.toFixed(1)}/s`;
  const words = { unit: "/s", decimals: 1, format, points: [], joinMs: 3 * RATES_MS };
  made.show({ series: [{ ...words, label: "in" }, { ...words, label: "out" }] });
  return made;
}

async function addRates() {
  if (!isOpen()) return;
  try {
    const answer = await fetch(urlOf("/api/broker"));
    const { embedded, publish } = await answer.json();
    if (!answer.ok || !embedded) return;
    chart = chart ?? makeChart();
    const at = performance.now();
    const rate = (name) => Math.max(0, ((publish[name] - last[name]) * 1000) / (at - last.at));
    if (last) ["received", "sent"].forEach((name, k) => chart.append(k, hubNow(), rate(name)));
    last = { ...publish, at };
    chart.dropBefore(hubNow() - SHOWN_MS);
    chart.setRange(hubNow() - SHOWN_MS, hubNow());
  } catch {
    // The hub does not answer; the chart has a gap.
  }
}

const refresh = () => isOpen() && swapParts(PARTS);

showTimes();
follow("/events?view=system", { onSnapshot: () => { refresh(); addRates(); }, onUpdate() {} });
setInterval(refresh, REFRESH_MS);
setInterval(addRates, RATES_MS);
