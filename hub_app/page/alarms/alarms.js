// View of the alarms. The hub renders it; this script fetches it again when an alarm begins, changes or ends.
import { send } from "../commands/post.js";
import { setText } from "../live/elements.js";
import { follow, hubNow } from "../live/stream.js";
import { swapParts } from "../live/swap.js";
import { duration } from "../live/values.js";
import { showTimes } from "../log/lines.js";
import { deleteRule, followForm, saveRule } from "./rules.js";

const SOON_MS = 200;
// The values of active alarms, and the mutes that are over.
const REFRESH_MS = 15000;
const PARTS = ["active", "rules", "past"];
// An alarm is in the history a little later than on the bus.
const HISTORY_MS = 3000;

let timer = 0;

function refreshSoon(pauseMs = SOON_MS) {
  clearTimeout(timer);
  timer = setTimeout(refresh, pauseMs);
}

async function refresh() {
  if (!document.hidden) await swapParts(PARTS);
  refreshSoon(REFRESH_MS);
}

function onUpdate(event) {
  if (event.kind !== "alarm") return;
  if (event.value === null) setTimeout(refreshSoon, HISTORY_MS);
  refreshSoon();
}

const commands = {
  ack: (path) => send("POST", `${path}/ack`, {}),
  mute: (path, alarm) => send("POST", `${path}/mute`, { minutes: Number(alarm.querySelector("select").value) }),
  unmute: (path) => send("POST", `${path}/mute`, { minutes: 0 }),
};
const DONE = { ack: "acknowledged", mute: "muted", unmute: "no longer muted" };

async function command(button) {
  const alarm = button.closest(".alarm");
  const { node, alarm: name } = alarm.dataset;
  const { act } = button.dataset;
  const fault = await commands[act](`/api/alarms/${encodeURIComponent(node)}/${encodeURIComponent(name)}`, alarm);
  say(fault ? `${name} of ${node}: ${fault}` : `${name} of ${node}: ${DONE[act]}`);
}

function say(text) {
  setText(document.getElementById("answer"), text);
  refreshSoon(0);
}

document.addEventListener("click", async ({ target }) => {
  const button = target.closest("button");
  if (button?.dataset.act) command(button);
  if (button?.dataset.rule) say(await saveRule(JSON.parse(button.dataset.rule)));
  if (button?.dataset.delete && confirm(`Delete the rule ${button.dataset.delete}?`)) say(await deleteRule(button.dataset.delete));
});

function showLasting() {
  document.querySelectorAll(".alarm[data-since]").forEach((alarm) =>
    setText(alarm.querySelector(".lasting"), duration(Math.max(0, hubNow() - Number(alarm.dataset.since)) / 1000)));
}

showTimes();
// A link from a chart fills the form in.
if (document.querySelector("#rule details[open]")) document.getElementById("rule").scrollIntoView({ block: "center" });
followForm(say);
follow("/events?view=alarms", { onSnapshot: () => refreshSoon(), onUpdate });
setInterval(showLasting, 1000);
