// Views of the fleet. They have no event stream, so their lists are polled.
import { swapParts } from "../live/swap.js";
import { showTimes } from "../log/lines.js";

const REFRESH_MS = 5000;
const fault = document.getElementById("fault");

showTimes();
setInterval(() => document.hidden || refresh(), REFRESH_MS);

async function refresh() {
  await swapParts(["sites", "alarms"]);
  if (fault) await showFault(fault.parentElement.dataset.root);
}

// Says that the lists are old, where the server or its database does not answer.
async function showFault(root) {
  let text = "the server of this page does not answer";
  try {
    const { faults } = await (await fetch(`${root}/health`)).json();
    text = (faults ?? []).join(". ");
  } catch {
    // It does not answer.
  }
  const shown = text && `${text[0].toUpperCase()}${text.slice(1)}: what is below may be old.`;
  if (fault.textContent !== shown) fault.textContent = shown;
  fault.hidden = !text;
}
