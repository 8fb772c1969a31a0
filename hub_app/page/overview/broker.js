// Counters of the embedded broker. They are not in the event stream, so they are polled.
import { setText } from "../live/elements.js";
import { urlOf } from "../live/paths.js";

const FIGURES = {
  clients: ({ clients }) => `${clients.connected}`,
  messages: ({ load }) => `${(load["publish/received"].one / 60).toFixed(1)} in, ${(load["publish/sent"].one / 60).toFixed(1)} out`,
  retained: ({ stored }) => `${stored.retained_messages}`,
  queued: ({ stored }) => `${stored.queued_messages}`,
  refused: ({ refused }) => `${Object.values(refused).reduce((sum, count) => sum + count, 0)}`,
};

export async function refreshBroker() {
  const panel = document.getElementById("broker");
  if (!panel) return;
  try {
    const answer = await fetch(urlOf("/api/broker"));
    if (answer.ok) show(panel, await answer.json());
  } catch {
    // The hub does not answer; the counters stay as they were.
  }
}

function show(panel, status) {
  panel.hidden = !status.embedded;
  if (!status.embedded) return;
  panel.querySelectorAll("[data-figure]").forEach((place) =>
    setText(place.querySelector(".value"), FIGURES[place.dataset.figure](status)));
}
