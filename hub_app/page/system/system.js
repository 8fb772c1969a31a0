// View of broker and hub. Its figures are not in the event stream, so they are polled.
import { Chart } from "../chart/chart.js";
import { send } from "../commands/post.js";
import { setText } from "../live/elements.js";
import { urlOf } from "../live/paths.js";
import { follow, hubNow, isOpen } from "../live/stream.js";
import { swapParts } from "../live/swap.js";
import { showTimes } from "../log/lines.js";
import { startDeploying } from "./deploy.js";
import { startJoining } from "./join.js";

const REFRESH_MS = 10000;
const RATES_MS = 5000;
const LEAST_SHOWN_MS = 900000;
const DAY_MS = 864e5;
// Points of the hub are a minute apart.
const JOIN_MS = 180000;
const PARTS = [
  ...["faults", "hub", "broker", "storage", "rates", "refused", "quotas", "certificates"],
  ...["homeassistant", "versions", "updates", "deliveries"],
];

let chart = null;
let making = null; // the promise of the chart
let last = null; // counts of messages and their time
let first = 0; // time of the oldest point

const shownMs = () => Math.min(DAY_MS, Math.max(LEAST_SHOWN_MS, hubNow() - first));

// Begins with the last day, as the hub remembers it.
async function makeChart() {
  const { traffic } = await (await fetch(urlOf("/api/system"))).json();
  first = traffic[0]?.[0] ?? hubNow();
  const panel = document.getElementById("traffic");
  panel.hidden = false;
  const made = new Chart(panel.querySelector(".chart"), { from: hubNow() - shownMs(), to: hubNow() });
  const format = (value) => `${value.toFixed(1)}/s`;
  const words = { unit: "/s", decimals: 1, format, points: [], joinMs: JOIN_MS };
  made.show({ series: [{ ...words, label: "in" }, { ...words, label: "out" }] });
  traffic.forEach(([at, ...rates]) => rates.forEach((rate, k) => made.append(k, at, rate)));
  return made;
}

async function addRates() {
  if (!isOpen()) return;
  try {
    const answer = await fetch(urlOf("/api/broker"));
    const { embedded, publish } = await answer.json();
    if (!answer.ok || !embedded) return;
    making = making ?? makeChart();
    chart = await making;
    const at = performance.now();
    const rate = (name) => Math.max(0, ((publish[name] - last[name]) * 1000) / (at - last.at));
    if (last) ["received", "sent"].forEach((name, k) => chart.append(k, hubNow(), rate(name)));
    last = { ...publish, at };
    chart.dropBefore(hubNow() - shownMs());
    chart.setRange(hubNow() - shownMs(), hubNow());
  } catch {
    // The hub does not answer; the chart has a gap.
    if (!chart) making = null;
  }
}

const refresh = () => isOpen() && swapParts(PARTS);

// The hub's body stands in the button; the panel is swapped, so the document listens.
document.addEventListener("click", async ({ target }) => {
  const body = target.closest?.("[data-update]")?.dataset.update;
  if (!body) return;
  const error = await send("POST", "/api/updates", JSON.parse(body));
  await swapParts(PARTS);
  setText(document.getElementById("update-answer"), error);
});

showTimes();
startJoining();
startDeploying(refresh);
follow("/events?view=system", { onSnapshot: () => { refresh(); addRates(); }, onUpdate() {} });
setInterval(refresh, REFRESH_MS);
setInterval(addRates, RATES_MS);
